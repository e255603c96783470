r"""
Vanishing gradients
===================

On its way back through a net, the gradient is multiplied by the weights and by the derivative of the activation, layer by layer:

.. math:: \frac{\partial L}{\partial z_k} = \left(W_{k+1}^T \frac{\partial L}{\partial z_{k+1}}\right) \cdot \varphi'(z_k)

If these factors are below 1, the gradient becomes smaller with every layer. The derivative of Sigmoid is at most 1/4. After ten layers
about a millionth is left: the first layers keep their random weights, however long you train.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (1000, 2))
y = x[:, 0] * x[:, 1] > 0


def train(activation, **linear):
    """Return the gradients of ten hidden layers in the first epoch, and the losses."""
    layers = []
    for k in range(10):
        layers += [nn.Linear(32 if k else 2, 32, **linear), activation()]
    model = nn.Sequential(*layers, nn.Linear(32, 1), nn.Sigmoid(), seed=0)
    model.compile("binary_crossentropy", nn.optim.Adam(lr=1e-3))
    seen = nn.callbacks.Diagnostics(every=1)
    model.fit(x, y, epochs=30, callbacks=[seen], verbose=0)
    linears = [k for k, layer in enumerate(model) if isinstance(layer, nn.Linear)]
    norms = [seen.gradient_norm[f"{k}.weight"][0] for k in linears]
    return model, norms, model.history.history["loss"]


plt.style.use("tableau-colorblind10")
figure, (upper, lower) = plt.subplots(2, 1, figsize=(5.6, 6.6), layout="constrained")
he = {"weight_init": "he_normal"}
kinds = {"Sigmoid": (nn.Sigmoid, {}), "Tanh": (nn.Tanh, {}), "ReLU, He": (nn.ReLU, he)}
for name, (activation, linear) in kinds.items():
    model, norms, losses = train(activation, **linear)
    upper.plot(range(1, 12), norms, "o-", label=name)
    lower.plot(range(1, 31), losses, label=name)
upper.set(xlabel="layer", ylabel="norm of the gradient", yscale="log")
lower.set(xlabel="epoch", ylabel="loss")
upper.legend()

# %%
# With Sigmoid the gradient of the first layer is about a ten-millionth of that of the last, and the loss stays where it was. Tanh, whose
# derivative is 1 at 0, keeps more; ReLU with He's initial weights keeps all of it.
#
# ``nn.diagnose`` says so in plain words:

print(nn.diagnose(train(nn.Sigmoid)[0].clone(seed=0), x, y).verdicts[0])

# %%
# **Try next:** ``nn.BatchNorm1d(32)`` between each Linear and its Sigmoid. What becomes of the gradients?
#
# .. question:: Why not simply use a learning rate that is a million times higher?
#
#    The last layers have a gradient of the usual size. With such a rate they would jump out of every valley, while the first
#    layers just begin to move.
