"""Compares the ratios of the last `make bench` with the committed ones.

    python benchmarks/compare.py             list what became more than 10 % slower; then the exit status is 1
    python benchmarks/compare.py --accept    make the last run the baseline; files that it left out keep theirs

A ratio is NumPy's time over nncore's for the same thing in the same run. It still depends on the processor and on NumPy's version,
which is why both are recorded and a difference is pointed out.
"""

import json
import sys
from pathlib import Path

BASELINE = Path(__file__).with_name("baseline.json")
RESULTS = Path(__file__).resolve().parent.parent / "out" / "ratios.json"
TOLERATED = 0.10


def record(ratios: dict[str, float]) -> dict:
    """The ratios and what they belong to."""
    import numpy as np
    from headline import machine

    from nncore import _core

    cpu = machine()["cpu"]
    return {"cpu": cpu, "isa": _core.isa(), "numpy": np.__version__, "ratios": dict(sorted(ratios.items()))}


def load(path: Path) -> dict | None:
    return json.loads(path.read_text()) if path.exists() else None


def regressions(new: dict, old: dict) -> list[tuple[str, float, float]]:
    """(name, old, new) of each ratio that fell by more than is tolerated, the worst first."""
    common = new["ratios"].keys() & old["ratios"].keys()
    pairs = ((name, old["ratios"][name], new["ratios"][name]) for name in common)
    return sorted((p for p in pairs if p[2] < (1 - TOLERATED) * p[1]), key=lambda p: p[2] / p[1])


def verdict(new: dict, old: dict | None) -> list[str]:
    """What to tell whoever ran the benchmarks."""
    slower = [(name, r) for name, r in new["ratios"].items() if r < 1]
    lines = [f"{len(new['ratios'])} cases, {len(slower)} of them slower than NumPy"]
    lines += [f"  {r:6.2f}  {name}" for name, r in sorted(slower, key=lambda item: item[1])]
    if old is None:
        return [*lines, "no baseline to compare with: python benchmarks/compare.py --accept"]
    for key in ("cpu", "isa", "numpy"):
        if new[key] != old[key]:
            lines.append(f"the baseline was measured with another {key}: {old[key]}, here {new[key]}")
    worse = regressions(new, old)
    lines.append(f"{len(worse)} more than {TOLERATED:.0%} slower than the baseline" + (":" if worse else ""))
    lines += [f"  {was:6.2f} -> {now:6.2f}  {name}" for name, was, now in worse]
    return lines


def accepted(new: dict, old: dict | None) -> dict:
    """The new record, with the ratios of whole files that were not run, as far as they are of the same machine."""
    if old is None or any(new[key] != old[key] for key in ("cpu", "isa", "numpy")):
        return new
    files = {name.partition("::")[0] for name in new["ratios"]}
    kept = {name: ratio for name, ratio in old["ratios"].items() if name.partition("::")[0] not in files}
    return {**new, "ratios": dict(sorted({**kept, **new["ratios"]}.items()))}


def main() -> int:
    new, old = load(RESULTS), load(BASELINE)
    if new is None:
        print(f"{RESULTS} is not there: run make bench first")
        return 2
    if "--accept" in sys.argv[1:]:
        BASELINE.write_text(json.dumps(accepted(new, old), indent=1) + "\n")
        print(f"{len(new['ratios'])} ratios are the baseline now")
        return 0
    print(*verdict(new, old), sep="\n")
    return 1 if old and regressions(new, old) else 0


if __name__ == "__main__":
    sys.exit(main())
