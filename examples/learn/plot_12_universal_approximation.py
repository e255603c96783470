r"""
Universal approximation: what one hidden layer can do
=====================================================

A net with one hidden layer and a linear output adds up copies of one curve, each moved, stretched and weighted:

.. math:: \hat y = W_2\,\varphi(W_1 x + b_1) + b_2

With enough units it comes as close as you like to **any** continuous function on a bounded range (Cybenko, 1989; Hornik, 1991), as long as
:math:`\varphi` is no polynomial (Leshno et al., 1993). With ReLU this is easy to see: each unit is a straight line with one kink. A sum of
such units is a chain of straight pieces, and every curve can be followed by a chain that has enough of them.

The theorem says that good weights exist. It does not say that training finds them, how many units it takes, or what the net answers where it
has seen nothing.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

x = np.linspace(-np.pi, np.pi, 200)[:, None]
wide = np.linspace(-2 * np.pi, 2 * np.pi, 401)[:, None]
TASKS = {"sine": np.sin, "step": lambda x: (x > 0) * 2.0 - 1}


def fit(target, units):
    """Return a net with so many units, fitted to the target between -pi and pi."""
    model = nn.Sequential(nn.Linear(1, units), nn.ReLU(), nn.Linear(units, 1), seed=0)
    model.compile("mse", nn.optim.Adam(lr=nn.schedules.Cosine(0.03, total_steps=4000)))
    model.fit(x, target(x), epochs=1000, batch_size=50, verbose=0)
    return model


# %%
# The dashed line is the target. On the grey ground the net has not seen it.

figure, panels = plt.subplots(3, 2, figsize=(5.6, 7), layout="constrained")
for row, units in zip(panels, (1, 3, 30), strict=True):
    for axes, (name, target) in zip(row, TASKS.items(), strict=True):
        model = fit(target, units)
        error = model.evaluate(x, target(x))
        axes.axvspan(-np.pi, np.pi, color="white")
        axes.plot(wide, target(wide), "k--", linewidth=1)
        axes.plot(wide, model.predict(wide), color="#d55e00")
        axes.set(title=f"{name}, ReLUs: {units}", xlabel="x", ylabel="y", ylim=(-2, 2))
        axes.set_facecolor("0.88")
        print(f"{name}, {units:2} units: mean squared error {error:.5f}")

# %%
# One unit is one kink, and a poor sine. Three units are three pieces in the right places. With thirty, no eye sees a difference any more. The
# step is no continuous function: the net makes a slope of it, a steep one, and its error becomes small much more slowly.
#
# On the grey ground nothing tells the net that a sine goes on. It continues its last straight pieces. **Outside of its data a net guesses**,
# however good it is inside.
#
# **Depth** multiplies where width only adds. Two ReLUs make a tooth, :math:`2\,\max(0, x) - 4\,\max(0, x - \frac{1}{2})`. A second layer with the
# same weights makes a tooth of the first one's rise, and another one of its fall. Here they are set by hand:

tooth, fold = np.array([[2.0, -4.0]]), np.ones((2, 1))
inside = np.linspace(0, 1, 513)[:, None]
figure, panels = plt.subplots(3, 1, figsize=(5.6, 5.6), layout="constrained")
for axes, depth in zip(panels, (1, 2, 4), strict=True):
    layers = []
    for k in range(depth):
        layers += [nn.Linear(2 if k else 1, 2), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(2, 1, bias=False)).build((1,))
    for k, layer in enumerate(layers[::2]):
        layer.weight, layer.bias = fold @ tooth if k else fold, [0, -0.5]
    model[-1].weight = tooth
    axes.plot(inside, model.predict(inside), color="#0072b2")
    axes.set(title=f"hidden layers of two ReLUs: {depth}", xlabel="x", ylabel="y")

# %%
# Four layers, 8 units, make 8 teeth with 15 kinks. One hidden layer needs a unit for each kink: 15. With ten layers it is 20 units against
# 1023. But again, that good weights exist does not mean that training finds them. From random weights it does not find these.
#
# **Try next:** ``nn.Tanh()`` in place of ``nn.ReLU()`` in ``fit``. What does the net answer on the grey ground now? Then: does training find
# the eight teeth? After the last line, keep them as targets, ``teeth = model.predict(inside)``, and give the net random weights again,
# ``model.reset_parameters(seed=1)``. Compile it and fit it to ``inside`` and ``teeth``, as ``fit`` does, and draw its answers.
#
# .. question:: One hidden layer can do everything. Why do people use several?
#
#    "Can" means: with enough units. A function that is made in steps, each from the one before, may take far fewer units in several
#    layers than in one, as the teeth do. And units are weights, which have to be learned from rows.
