"""What `import nncore` costs beyond NumPy's import, each time in a fresh interpreter."""

import json
import subprocess
import sys

PROBE = """
import json, time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import nncore
print(json.dumps([middle - start, time.perf_counter() - middle]))
"""


def bench_import(benchmark):
    times = []

    def fresh():
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
        times.append(json.loads(done.stdout))

    benchmark.pedantic(fresh, rounds=8)
    numpy_s, nncore_s = (min(column) for column in zip(*times, strict=True))
    benchmark.extra_info.update(numpy_ms=round(1e3 * numpy_s, 1), nncore_ms=round(1e3 * nncore_s, 1))
    print(f"\nimport numpy {1e3 * numpy_s:.1f} ms, then import nncore {1e3 * nncore_s:.1f} ms")
    assert nncore_s < 0.03, f"import nncore takes {1e3 * nncore_s:.0f} ms beyond NumPy; 30 is the promise"
