"""Print what `nn.diagnose` says of every planted fault and of every healthy net, over all data sets and seeds.

python tests/insight/confusion.py
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from insight.planted import FAULTS, HEALTHY, SEEDS

import nncore as nn


def main() -> None:
    warnings.simplefilter("ignore")
    began, named, runs, missed = time.perf_counter(), 0, 0, []
    print("| planted | first or second | first verdicts |\n|---|---:|---|")
    for name, (code, make, data_sets) in FAULTS.items():
        first: Counter[str] = Counter()
        hits = 0
        for data in data_sets:
            for seed in range(SEEDS):
                codes = [each.code for each in nn.diagnose(**make(data, seed)).verdicts]
                first[codes[0]] += 1
                hits += code in codes[:2]
        named, runs = named + hits, runs + SEEDS * len(data_sets)
        missed += [name] if hits < SEEDS * len(data_sets) else []
        print(
            f"| {name} (`{code}`) | {hits} of {SEEDS * len(data_sets)} | {', '.join(f'{k} {n}' for k, n in first.most_common())} |"
        )
    alarms = 0
    for name, make in HEALTHY.items():
        reports = [nn.diagnose(**make(seed)) for seed in range(SEEDS)]
        serious = Counter(each.code for report in reports for each in report.verdicts if each.severity == "serious")
        alarms += bool(serious)
        print(f"| healthy: {name} | {sum(report.healthy for report in reports)} of {SEEDS} | {dict(serious) or ''} |")
    print(f"\nnamed {named} of {runs}; faults with a miss: {missed or 'none'}; healthy nets with a false alarm: {alarms}")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
