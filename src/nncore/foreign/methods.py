"""Methods and attributes of models, layers and optimizers in PyTorch, Keras and scikit-learn.

`nncore._declarations.put_elsewhere` gives a class an attribute for each of them.
"""

from __future__ import annotations

_LEAVE = "leave it out"
_MODES = f"{_LEAVE}: model(x) and predict infer, fit and train_on_batch train; model.forward(x, training=True) chooses"
_STEP = f"{_LEAVE}: train_on_batch does a whole step; by hand: forward, backward, apply_gradients, zero_gradients"
_CPU = f"{_LEAVE}: nncore computes on the CPU"
_FIXED = "pass all layers to nn.Sequential: nn.Sequential(*layers, nn.ReLU())"
_DTYPE = 'pass dtype="float64" to the model'
_LOSS = "use model.summary(), which shows what compile was given"
_GRADIENTS = 'use model.gradients, such as model.gradients["0.weight"]'
_FREEZE = "set layer.trainable = False, and compile"
_MADE = "a model is made by its constructor; model.clone(), copy.deepcopy(model) and nn.load make it again"

#: Name -> what to use, for a model.
OF_MODELS = {
    # PyTorch
    "eval": _MODES,
    "train": _MODES,
    "to": f"{_CPU}; {_DTYPE} for double precision",
    "cuda": _CPU,
    "cpu": _CPU,
    "device": _CPU,
    "half": _DTYPE.replace("64", "32"),
    "float": _DTYPE.replace("64", "32"),
    "double": _DTYPE,
    "zero_grad": _STEP,
    "requires_grad_": _FREEZE,
    "requires_grad": _FREEZE,
    "modules": "use model.layers",
    "children": "use model.layers",
    "named_modules": "use model.layers",
    "named_children": "use model.layers",
    "add_module": _FIXED,
    "append": _FIXED,
    "extend": _FIXED,
    "insert": _FIXED,
    "register_forward_hook": "call the layers on nn.Input and make another nn.Model of the values between",
    "apply": "loop over model.layers",
    "named_buffers": "use model.state_dict(), which has running statistics, too",
    "register_buffer": "a buffer is an attribute of an nn.PythonLayer",
    "criterion": _LOSS,
    "loss_fn": _LOSS,
    "freeze": "set model.trainable = False, and compile",
    "unfreeze": "set model.trainable = True, and compile",
    # Keras
    "add": _FIXED,
    "pop": "use a slice, which copies: model[:-1]",
    "fit_generator": "use fit, which takes generators",
    "evaluate_generator": "use evaluate, which takes generators",
    "predict_generator": "use predict, which takes generators",
    "predict_classes": "use model.predict(x).argmax(axis=1)",
    "predict_step": "use predict_on_batch",
    "train_step": "use train_on_batch",
    "trainable_weights": "use model.parameters()",
    "trainable_variables": "use model.parameters()",
    "weights": "use model.parameters() or model.state_dict()",
    "variables": "use model.parameters() or model.state_dict()",
    "count_params": "use model.summary(show=False).total_parameters",
    "input_shape": "use model.input_shapes",
    "output_shape": "use model.output_shapes",
    "get_config": _MADE,
    "from_config": _MADE,
    "to_json": "use model.save(path)",
    "export": "use model.to_onnx(path), model.to_c(path), or model.save(path)",
    "save_model": "use model.save(path)",
    "load_model": "use nn.load(path)",
    "load": "use nn.load(path), or load_weights",
    "reset_metrics": f"{_LEAVE}: each epoch and each evaluation starts anew",
    "input": "use model.inputs of a graph, or model.input_shapes",
    "output": "use model.outputs of a graph, or model.output_shapes",
    "losses": _LOSS,
    "loss": _LOSS,
    "compute_loss": "use test_on_batch, or call one of nn.losses",
    "add_loss": "write a loss in Python, or pass l1= and l2= to a layer",
    "add_metric": "pass metrics= to compile",
    "call": "use model(x)",
    "test_step": "use test_on_batch",
    "non_trainable_weights": "use model.state_dict(), which has running statistics, too",
    "lr": "use model.optimizer.lr",
    "learning_rate": "use model.optimizer.lr",
    "plot_model": "use model.plot()",
    "plot_history": "use model.history.plot()",
    # scikit-learn
    "predict_proba": "use predict, which gives what the last layer computes; after a Softmax or Sigmoid these are probabilities",
    "predict_log_proba": "use np.log(model.predict(x)), or end in nn.LogSoftmax()",
    "decision_function": "use predict, with a linear last layer",
    "score": 'use evaluate, after compile(..., metrics=["accuracy"])',
    "partial_fit": "use train_on_batch, or fit again, which continues",
    "fit_transform": "use fit and then predict",
    "transform": "use predict",
    "save_pretrained": "use model.save(path)",
    "from_pretrained": "use nn.load(path)",
    "compiled": "use model.optimizer, which raises NotCompiledError before compile",
    "inputs": "use model.input_shapes; a graph, made by nn.Model(inputs, outputs), has them",
    "outputs": "use model.output_shapes; a graph, made by nn.Model(inputs, outputs), has them",
    "fit_predict": "use fit and then predict",
    "get_params": "use model.layers and model.optimizer; layer.config() gives the arguments",
    "set_params": "make the model again; model.optimizer.lr can be set",
    "coefs_": "use [layer.weight for layer in model.layers], or state_dict",
    "intercepts_": "use [layer.bias for layer in model.layers], or state_dict",
    "loss_curve_": 'use model.history.history["loss"]',
    "n_iter_": "use len(model.history.epoch)",
    "n_features_in_": "use model.input_shapes",
    "feature_names_in_": "use model.feature_names",
    "best_loss_": 'use min(model.history.history["loss"])',
    "classes_": "predict gives one column per class, in the order of the numbers",
}

#: Name -> what to use, for a layer.
OF_LAYERS = {
    "eval": "pass training=False, the default, to the call",
    "train": "pass training=True to the call",
    "to": _CPU,
    "cuda": _CPU,
    "kernel": "use layer.weight, which is [out, in]",
    "gamma": "use layer.weight",
    "beta": "use layer.bias",
    "moving_mean": "use layer.running_mean",
    "moving_variance": "use layer.running_var",
    "parameters": "use layer.weight and layer.bias, or model.parameters()",
    "weights": "use layer.weight and layer.bias",
    "get_weights": "use layer.weight and layer.bias, or model.get_weights()",
    "set_weights": "assign to layer.weight and layer.bias, or use model.set_weights",
    "get_config": "use layer.config()",
    "requires_grad_": _FREEZE,
    "requires_grad": _FREEZE,
    "freeze": _FREEZE,
    "grad": _GRADIENTS,
    "trainable_weights": "use layer.weight and layer.bias, or model.parameters()",
    "count_params": "use model.summary(), which shows the parameters of each layer",
    "output_shape": "use model.summary(), which shows the shape of each output",
    "input_shape": "use model.summary(), which shows the shape of each output",
    "input": "make nn.Model(inputs, outputs) of the values that layers give for nn.Input",
    "output": "make nn.Model(inputs, outputs) of the values that layers give for nn.Input",
    "activation": "an activation is a layer of its own, which follows this one",
    "kernel_initializer": "use layer.weight_init",
    "zero_grad": _STEP,
    "units": "use layer.out_features",
    "state_dict": "use state_dict of the model, nn.Sequential(layer)",
    "load_state_dict": "use load_state_dict of the model, nn.Sequential(layer)",
}

#: The same, for a recurrent layer.
OF_RECURRENT = {
    "weight": "use layer.weight_ih_l0 and layer.weight_hh_l0, as in PyTorch",
    "kernel": "use layer.weight_ih_l0, which is [gates * hidden, in]",
    "recurrent_kernel": "use layer.weight_hh_l0, which is [gates * hidden, hidden]",
    "units": "use layer.hidden_size",
    "flatten_parameters": f"{_LEAVE}: all parameters lie in one buffer",
}

#: Name -> what to use, for the history that fit returns.
OF_HISTORIES = {
    "predict": "fit returns the history; use model.predict",
    "evaluate": "fit returns the history; use model.evaluate",
    "score": "fit returns the history; use model.evaluate",
    "predict_proba": "fit returns the history; use model.predict",
    "loss": 'use history.history["loss"]',
    "val_loss": 'use history.history["val_loss"]',
    "accuracy": 'use history.history["accuracy"]',
    **dict.fromkeys(("keys", "items", "values", "metrics", "to_frame"), "use history.history, a dict of lists"),
    "epochs": "use history.epoch, a list",
    "best": "use min(history.history[key]); EarlyStopping and ModelCheckpoint keep the best model",
}

#: Name -> what to use, for an optimizer.
OF_OPTIMIZERS = {
    "step": "use model.train_on_batch, or model.apply_gradients after forward and backward",
    "zero_grad": _STEP,
    "param_groups": "set optimizer.lr; the argument groups= has settings for some parameters",
    "minimize": "use model.fit or model.train_on_batch",
    "apply_gradients": "use model.apply_gradients",
    "state_dict": "use model.save, which keeps the state of training",
    "load_state_dict": "use nn.load, which restores the state of training",
    "get_config": "use optimizer.config()",
    "iterations": "use model.step",
    "get_weights": "use model.save, which keeps the state of training",
    "set_weights": "use nn.load, which restores the state of training",
    "variables": "use model.save, which keeps the state of training",
    "state": "use model.save, which keeps the state of training",
    "defaults": "use optimizer.config()",
    "betas": "use optimizer.beta1 and optimizer.beta2",
    "beta_1": "use optimizer.beta1",
    "beta_2": "use optimizer.beta2",
    "epsilon": "use optimizer.eps",
    "add_param_group": "pass groups= to the constructor",
}
