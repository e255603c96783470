"""Every public method of a model with wrong arguments: the calls, one argument each, that a test of misuse goes through."""

import numpy as np

import nncore as nn

X = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)
Y = np.zeros((8, 2), np.float32)
XT = np.linspace(-1, 1, 8 * 5 * 4, dtype=np.float32).reshape(8, 5, 4)
YT = np.zeros((8, 5, 2), np.float32)


def plain():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2), seed=0)
    model.compile("mse", nn.optim.Adam(lr=0.01, ema_momentum=0.9))
    return model


def recurrent():
    model = nn.Sequential(nn.GRU(4, 3, return_sequences=True), nn.Linear(3, 2), seed=0).build((5, 4))
    model.compile("mse", nn.optim.Adam(lr=0.01))
    return model


def two_ends():
    a, b = nn.Input((4,), name="a"), nn.Input((4,), name="b")
    model = nn.Model([a, b], {"p": nn.Linear(4, 2)(a + b), "q": nn.Linear(4, 2)(a)}, seed=0)
    model.compile("mse", "adam")
    return model


def _with_average(model):
    with model.averaged_weights():
        pass


C = np.array([0, 1, 1, 0, 0, 1, 0, 1])


def classifier():
    model = nn.Sequential(nn.Linear(4, 2), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam")
    return model


def _key(value):
    """The value itself where a dict takes it for a key."""
    try:
        hash(value)
    except TypeError:
        return "no such key"
    return value


def _named(value):
    x = nn.Input((4,))
    return nn.Model({_key(value): x}, {_key(value): nn.ReLU()(x)})


def _step(optimizer, loss="mse", metrics=()):
    model = nn.Sequential(nn.Linear(4, 2), seed=0)
    model.compile(loss, optimizer, metrics=list(metrics))
    model.train_on_batch(X, Y)


def _fit(callback):
    plain().fit(X, Y, callbacks=[callback])


#: Name -> (the model, the call with the wrong value in it).
CALLS = {
    "fit x": (plain, lambda m, v: m.fit(v, Y)),
    "fit y": (plain, lambda m, v: m.fit(X, v)),
    "fit x alone": (plain, lambda m, v: m.fit(v)),
    "fit batches": (plain, lambda m, v: m.fit([v, v])),
    "fit batches of pairs": (plain, lambda m, v: m.fit([(X, v)])),
    "fit epochs": (plain, lambda m, v: m.fit(X, Y, epochs=v)),
    "fit batch_size": (plain, lambda m, v: m.fit(X, Y, batch_size=v)),
    "fit validation_split": (plain, lambda m, v: m.fit(X, Y, validation_split=v)),
    "fit validation_data": (plain, lambda m, v: m.fit(X, Y, validation_data=v)),
    "fit validation_data pair": (plain, lambda m, v: m.fit(X, Y, validation_data=(X, v))),
    "fit shuffle": (plain, lambda m, v: m.fit(X, Y, shuffle=v)),
    "fit sample_weight": (plain, lambda m, v: m.fit(X, Y, sample_weight=v)),
    "fit class_weight": (plain, lambda m, v: m.fit(X, Y, class_weight=v)),
    "fit callbacks": (plain, lambda m, v: m.fit(X, Y, callbacks=v)),
    "fit a callback": (plain, lambda m, v: m.fit(X, Y, callbacks=[v])),
    "fit initial_epoch": (plain, lambda m, v: m.fit(X, Y, initial_epoch=v)),
    "fit verbose": (plain, lambda m, v: m.fit(X, Y, verbose=v)),
    "fit groups": (plain, lambda m, v: m.fit(X, Y, validation_split=0.5, groups=v)),
    "fit validation_freq": (plain, lambda m, v: m.fit(X, Y, validation_data=(X, Y), validation_freq=v)),
    "fit validation_batch_size": (plain, lambda m, v: m.fit(X, Y, validation_data=(X, Y), validation_batch_size=v)),
    "fit validation_steps": (plain, lambda m, v: m.fit(X, Y, validation_data=[(X, Y)], validation_steps=v)),
    "fit steps_per_epoch": (plain, lambda m, v: m.fit([(X, Y)], steps_per_epoch=v)),
    "fit resume": (plain, lambda m, v: m.fit(X, Y, resume=v)),
    "fit lengths": (recurrent, lambda m, v: m.fit(XT, YT, lengths=v)),
    "fit a length": (recurrent, lambda m, v: m.fit(XT, YT, lengths=[5] * 7 + [v])),
    "evaluate x": (plain, lambda m, v: m.evaluate(v, Y)),
    "evaluate y": (plain, lambda m, v: m.evaluate(X, v)),
    "evaluate batch_size": (plain, lambda m, v: m.evaluate(X, Y, batch_size=v)),
    "evaluate sample_weight": (plain, lambda m, v: m.evaluate(X, Y, sample_weight=v)),
    "evaluate callbacks": (plain, lambda m, v: m.evaluate(X, Y, callbacks=v)),
    "evaluate a callback": (plain, lambda m, v: m.evaluate(X, Y, callbacks=[v])),
    "evaluate return_dict": (plain, lambda m, v: m.evaluate(X, Y, return_dict=v)),
    "evaluate steps": (plain, lambda m, v: m.evaluate([(X, Y)], steps=v)),
    "evaluate lengths": (recurrent, lambda m, v: m.evaluate(XT, YT, lengths=v)),
    "predict x": (plain, lambda m, v: m.predict(v)),
    "predict batch_size": (plain, lambda m, v: m.predict(X, batch_size=v)),
    "predict callbacks": (plain, lambda m, v: m.predict(X, callbacks=v)),
    "predict a callback": (plain, lambda m, v: m.predict(X, callbacks=[v])),
    "predict steps": (plain, lambda m, v: m.predict(iter([X]), steps=v)),
    "predict lengths": (recurrent, lambda m, v: m.predict(XT, lengths=v)),
    "predict x of two": (two_ends, lambda m, v: m.predict([X, v])),
    "call x": (plain, lambda m, v: m(v)),
    "call out": (plain, lambda m, v: m(X, out=v)),
    "predict_on_batch x": (plain, lambda m, v: m.predict_on_batch(v)),
    "predict_on_batch out": (plain, lambda m, v: m.predict_on_batch(X, out=v)),
    "train_on_batch x": (plain, lambda m, v: m.train_on_batch(v, Y)),
    "train_on_batch y": (plain, lambda m, v: m.train_on_batch(X, v)),
    "train_on_batch sample_weight": (plain, lambda m, v: m.train_on_batch(X, Y, sample_weight=v)),
    "train_on_batch class_weight": (plain, lambda m, v: m.train_on_batch(X, Y, class_weight=v)),
    "train_on_batch return_dict": (plain, lambda m, v: m.train_on_batch(X, Y, return_dict=v)),
    "train_on_batch lengths": (recurrent, lambda m, v: m.train_on_batch(XT, YT, lengths=v)),
    "train_on_batch y of two": (two_ends, lambda m, v: m.train_on_batch([X, X], {"p": Y, "q": v})),
    "test_on_batch x": (plain, lambda m, v: m.test_on_batch(v, Y)),
    "test_on_batch y": (plain, lambda m, v: m.test_on_batch(X, v)),
    "test_on_batch sample_weight": (plain, lambda m, v: m.test_on_batch(X, Y, sample_weight=v)),
    "test_on_batch return_dict": (plain, lambda m, v: m.test_on_batch(X, Y, return_dict=v)),
    "compile loss": (plain, lambda m, v: m.compile(v, "sgd")),
    "compile a loss": (two_ends, lambda m, v: m.compile(["mse", v], "sgd")),
    "compile optimizer": (plain, lambda m, v: m.compile("mse", v)),
    "compile metrics": (plain, lambda m, v: m.compile("mse", "sgd", metrics=v)),
    "compile a metric": (plain, lambda m, v: m.compile("mse", "sgd", metrics=[v])),
    "compile loss_weights": (plain, lambda m, v: m.compile("mse", "sgd", loss_weights=v)),
    "compile a loss weight": (two_ends, lambda m, v: m.compile("mse", "sgd", loss_weights=[1.0, v])),
    "compile a named loss weight": (two_ends, lambda m, v: m.compile("mse", "sgd", loss_weights={"p": v})),
    "compile l1": (plain, lambda m, v: m.compile("mse", "sgd", l1=v)),
    "compile l2": (plain, lambda m, v: m.compile("mse", "sgd", l2=v)),
    "compile check_finite": (plain, lambda m, v: m.compile("mse", "sgd", check_finite=v)),
    "build": (plain, lambda m, v: m.build(v)),
    "build a dimension": (plain, lambda m, v: m.build((v,))),
    "build a graph": (two_ends, lambda m, v: m.build(v)),
    "stream": (recurrent, lambda m, v: m.stream(v)),
    "stream step": (recurrent, lambda m, v: m.stream().step(v)),
    "forward x": (plain, lambda m, v: m.forward(v)),
    "forward training": (plain, lambda m, v: m.forward(X, training=v)),
    "forward lengths": (recurrent, lambda m, v: m.forward(XT, lengths=v)),
    "backward": (plain, lambda m, v: (m.forward(X), m.backward(v))),
    "summary": (plain, lambda m, v: m.summary(show=v)),
    "get_layer": (plain, lambda m, v: m.get_layer(v)),
    "load_state_dict": (plain, lambda m, v: m.load_state_dict(v)),
    "load_state_dict a value": (plain, lambda m, v: m.load_state_dict({**m.state_dict(), "2.bias": v})),
    "load_state_dict strict": (plain, lambda m, v: m.load_state_dict(m.state_dict(), strict=v)),
    "load_state_dict a key": (plain, lambda m, v: m.load_state_dict({"0.weight": X, (str(type(v)),): v})),
    "set_weights": (plain, lambda m, v: m.set_weights(v)),
    "set_weights one": (plain, lambda m, v: m.set_weights([*m.get_weights()[:-1], v])),
    "layer.weight": (plain, lambda m, v: setattr(m.layers[0], "weight", v)),
    "layer.trainable": (plain, lambda m, v: setattr(m.layers[0], "trainable", v)),
    "layer.l1": (plain, lambda m, v: setattr(m.layers[0], "l1", v)),
    "optimizer.lr": (plain, lambda m, v: setattr(m.optimizer, "lr", v)),
    "index": (plain, lambda m, v: m[v]),
    "average": (plain, lambda m, v: _with_average(m)),
    "gradient norms": (recurrent, lambda m, v: m.step_gradient_norms()),
    "check_gradients x": (plain, lambda m, v: nn.check_gradients(m, v)),
    "check_gradients y": (plain, lambda m, v: nn.check_gradients(m, X, v)),
    "check_gradients eps": (plain, lambda m, v: nn.check_gradients(m, X, eps=v, raise_on_error=False)),
    "check_gradients tol": (plain, lambda m, v: nn.check_gradients(m, X, tol=v, raise_on_error=False)),
    "check_gradients samples": (plain, lambda m, v: nn.check_gradients(m, X, samples=v)),
    "check_gradients seed": (plain, lambda m, v: nn.check_gradients(m, X, seed=v)),
    "check_gradients obj": (plain, lambda m, v: nn.check_gradients(v, X)),
    "Model": (plain, lambda m, v: nn.Model(v, v)),
    "Model outputs": (plain, lambda m, v: nn.Model(nn.Input((4,)), v)),
    "Model seed": (plain, lambda m, v: nn.Sequential(nn.Linear(4, 2), seed=v)),
    "Model dtype": (plain, lambda m, v: nn.Sequential(nn.Linear(4, 2), dtype=v)),
    "Sequential": (plain, lambda m, v: nn.Sequential(v)),
    "Sequential second": (plain, lambda m, v: nn.Sequential(nn.Linear(4, 2), v)),
    "Input": (plain, lambda m, v: nn.Input(v)),
    "Input a dimension": (plain, lambda m, v: nn.Input((v,))),
    "Input name": (plain, lambda m, v: nn.Input((4,), name=v)),
    "call on a value": (plain, lambda m, v: m([nn.Input((4,)), v])),
    "layer alone": (plain, lambda m, v: nn.Linear(4, 2)(v)),
    "activation alone": (plain, lambda m, v: nn.ReLU()(v)),
    "recurrent alone": (plain, lambda m, v: nn.LSTM(4, 3)(v)),
    "recurrent alone h_0": (plain, lambda m, v: nn.LSTM(4, 3)(XT, v)),
    "recurrent alone lengths": (plain, lambda m, v: nn.LSTM(4, 3)(XT, lengths=v)),
    "recurrent load": (plain, lambda m, v: nn.GRU(4, 3).load_state_dict(v)),
    "loss alone y_true": (plain, lambda m, v: nn.losses.MeanSquaredError()(v, Y)),
    "loss alone y_pred": (plain, lambda m, v: nn.losses.MeanSquaredError()(Y, v)),
    "loss alone gradient": (plain, lambda m, v: nn.losses.MeanSquaredError().gradient(Y, v)),
    "loss alone weight": (plain, lambda m, v: nn.losses.MeanSquaredError()(Y, Y, v)),
    "metric alone y_true": (plain, lambda m, v: nn.metrics.mae(v, Y)),
    "metric alone y_pred": (plain, lambda m, v: nn.metrics.mae(Y, v)),
    "f1 alone y_true": (plain, lambda m, v: nn.metrics.f1(v, [0, 1])),
    "f1 alone y_pred": (plain, lambda m, v: nn.metrics.f1([0, 1], v)),
    "auc alone y_true": (plain, lambda m, v: nn.metrics.roc_auc(v, [0.1, 0.2])),
    "auc alone y_pred": (plain, lambda m, v: nn.metrics.roc_auc([0, 1], v)),
    "layer alone training": (plain, lambda m, v: nn.Dropout()(X, training=v)),
    "recurrent alone training": (plain, lambda m, v: nn.GRU(4, 3)(XT, training=v)),
    "fit class_weight of a class": (classifier, lambda m, v: m.fit(X, C, class_weight={0: v})),
    "fit class_weight a class": (classifier, lambda m, v: m.fit(X, C, class_weight={_key(v): 1.0})),
    "fit class_weight of an output": (classifier, lambda m, v: m.fit(X, C, class_weight={"output": v})),
    "fit classes": (classifier, lambda m, v: m.fit(X, v)),
    "fit a class": (classifier, lambda m, v: m.fit(X, [0, 1, 1, 0, 0, 1, 0, v])),
    "fit x by name": (two_ends, lambda m, v: m.fit({"a": X, "b": v}, {"p": Y, "q": Y})),
    "fit y by name": (two_ends, lambda m, v: m.fit({"a": X, "b": X}, {"p": Y, "q": v})),
    "fit a name": (two_ends, lambda m, v: m.fit({"a": X, _key(v): X}, {"p": Y, "q": Y})),
    "fit sample_weight by name": (two_ends, lambda m, v: m.fit([X, X], {"p": Y, "q": Y}, sample_weight={"p": v})),
    "fit sample_weight of a name": (two_ends, lambda m, v: m.fit([X, X], [Y, Y], sample_weight={_key(v): [1.0] * 8})),
    "fit validation weights": (plain, lambda m, v: m.fit(X, Y, validation_data=(X, Y, v))),
    "fit validation lengths": (recurrent, lambda m, v: m.fit(XT, YT, validation_data=(XT, YT, None, v))),
    "compile loss by name": (two_ends, lambda m, v: m.compile({"p": "mse", "q": v}, "sgd")),
    "compile metrics by name": (two_ends, lambda m, v: m.compile("mse", "sgd", metrics={"p": v})),
    "compile metrics of a name": (two_ends, lambda m, v: m.compile("mse", "sgd", metrics={_key(v): "mae"})),
    "compile metrics per output": (two_ends, lambda m, v: m.compile("mse", "sgd", metrics=[["mae"], [v]])),
    "a group": (plain, lambda m, v: nn.optim.SGD(groups=[v])),
    "a group's params": (plain, lambda m, v: nn.optim.SGD(groups=[{"params": v}])),
    "a group's lr": (plain, lambda m, v: nn.optim.SGD(groups=[{"params": "*", "lr": v}])),
    "a group's l1": (plain, lambda m, v: nn.optim.SGD(groups=[{"params": "*", "l1": v}])),
    "a group's trainable": (plain, lambda m, v: nn.optim.SGD(groups=[{"params": "*", "trainable": v}])),
    "a group's key": (plain, lambda m, v: nn.optim.SGD(groups=[{"params": "*", _key(v): 1.0}])),
    "Model by name": (plain, lambda m, v: _named(v)),
    "schedule": (plain, lambda m, v: nn.optim.SGD(lr=lambda step: v) and _step(nn.optim.SGD(lr=lambda step: v))),
    "an initializer's values": (plain, lambda m, v: nn.Sequential(nn.Linear(4, 2, weight_init=lambda shape, rng: v))),
    "a loss of one's own": (plain, lambda m, v: _step("sgd", lambda y, p: (v, p))),
    "a gradient of one's own": (plain, lambda m, v: _step("sgd", lambda y, p: (p.sum(axis=1), v))),
    "what a loss of one's own gives": (plain, lambda m, v: _step("sgd", lambda y, p: v)),
    "what a metric of one's own gives": (plain, lambda m, v: _step("sgd", "mse", [lambda y, p: v])),
    "what a layer of one's own gives": (plain, lambda m, v: nn.Lambda(lambda x: v)(X)),
    "a shape that a layer of one's own gives": (plain, lambda m, v: nn.Lambda(lambda x: x, output_shape=lambda shape: v)(X)),
    "what a schedule by epoch gives": (plain, lambda m, v: _fit(nn.callbacks.LearningRateScheduler(lambda epoch: v))),
    "set_num_threads": (plain, lambda m, v: nn.set_num_threads(v)),
    "threads": (plain, lambda m, v: nn.threads(v).__enter__()),
    "init.gain": (plain, lambda m, v: nn.init.gain(v)),
    "init.fans": (plain, lambda m, v: nn.init.fans(v)),
    "init.get": (plain, lambda m, v: nn.init.get(v)),
    "losses.get": (plain, lambda m, v: nn.losses.get(v)),
    "metrics.get": (plain, lambda m, v: nn.metrics.get(v)),
    "optim.get": (plain, lambda m, v: nn.optim.get(v)),
}
