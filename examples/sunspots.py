"""Sunspots: forecast the number of the next year from the last 30 years, with RNN, BiRNN, GRU and LSTM, against a linear model.

    python examples/sunspots.py            (needs statsmodels, which brings the series, and matplotlib)

The yearly series runs from 1700 to 2008. It is split in time. The nets train on the years until 1920. Early stopping uses the
years until 1955. The years after that are the test, and no choice depends on them. The baseline is a linear autoregression on the
same window, fitted by least squares. The series is short, so each figure is the mean over five seeds, with its standard
deviation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import nncore as nn

try:
    from statsmodels.datasets import sunspots
except ImportError:
    raise SystemExit("this example needs statsmodels, which brings the series: pip install statsmodels") from None

OUT = Path(__file__).resolve().parent.parent / "out"
WINDOW, HIDDEN, SEEDS = 30, 16, 5
VALIDATE_FROM, TEST_FROM = 1920, 1955
NETS = {
    "RNN": lambda: (nn.RNN(1, HIDDEN), HIDDEN),
    "BiRNN": lambda: (nn.RNN(1, HIDDEN, bidirectional=True), 2 * HIDDEN),
    "GRU": lambda: (nn.GRU(1, HIDDEN), HIDDEN),
    "LSTM": lambda: (nn.LSTM(1, HIDDEN), HIDDEN),
}


def rmse(predicted: np.ndarray, actual: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def main() -> None:
    OUT.mkdir(exist_ok=True)
    data = sunspots.load_pandas().data
    years, series = data["YEAR"].to_numpy().astype(int), data["SUNACTIVITY"].to_numpy()
    known = series[years < VALIDATE_FROM]
    mean, spread = known.mean(), known.std()
    scaled = ((series - mean) / spread).astype(np.float32)
    x = np.lib.stride_tricks.sliding_window_view(scaled[:-1], WINDOW)[..., None].copy()
    y, year = scaled[WINDOW:, None], years[WINDOW:]
    train, held_out, test = year < VALIDATE_FROM, (year >= VALIDATE_FROM) & (year < TEST_FROM), year >= TEST_FROM
    actual = y[test, 0] * spread + mean

    flat = np.concatenate([x[..., 0], np.ones((len(x), 1))], 1)
    coefficients = np.linalg.lstsq(flat[train], y[train, 0], rcond=None)[0]
    forecasts = {"linear AR": flat[test] @ coefficients * spread + mean}
    print(f"linear AR({WINDOW}): RMSE {rmse(forecasts['linear AR'], actual):.1f} sunspots on {TEST_FROM}-{year[-1]}")
    print(f"next = this year: RMSE {rmse(x[test, -1, 0] * spread + mean, actual):.1f}")

    for name, net in NETS.items():
        errors = []
        for seed in range(SEEDS):
            layer, width = net()
            model = nn.Sequential(layer, nn.Linear(width, 1), seed=seed).build((WINDOW, 1))
            model.compile(loss="mse", optimizer=nn.optim.Adam(lr=3e-3, clip_norm=1.0))
            stop = nn.callbacks.EarlyStopping(patience=40, restore_best_weights=True)
            later = (x[held_out], y[held_out])
            model.fit(
                x[train],
                y[train],
                epochs=600,
                batch_size=16,
                validation_data=later,
                callbacks=[stop],
                verbose=0,
            )
            forecast = model.predict(x[test])[:, 0] * spread + mean
            errors.append(rmse(forecast, actual))
            if seed == 0:
                forecasts[name] = forecast
        print(f"{name:5}: RMSE {np.mean(errors):.1f} ± {np.std(errors):.1f} over {SEEDS} seeds")

    figure = Figure(figsize=(11, 1.9 * len(forecasts)), layout="constrained")
    figure.suptitle("One year ahead, on years that no model has seen")
    panels = figure.subplots(len(forecasts), 1, sharex=True, sharey=True)
    for axes, (name, forecast) in zip(panels, forecasts.items(), strict=True):
        axes.plot(year[test], actual, "0.6", linewidth=2, label="observed")
        axes.plot(year[test], forecast, color="#0072b2", linewidth=1.4, label=f"{name}, RMSE {rmse(forecast, actual):.1f}")
        axes.set_ylabel("sunspots")
        axes.legend(loc="upper right", ncols=2, frameon=False)
    panels[-1].set_xlabel("year")
    figure.savefig(OUT / "sunspots.png", dpi=120)
    print(f"picture: {OUT / 'sunspots.png'}")


if __name__ == "__main__":
    main()
