"""scikit-learn's own checks of an estimator: every estimator passes all of them, and none is expected to fail."""

import os
import subprocess
import sys
import time
import warnings

import pytest
import sklearn
from estimator_instances import NAMES, make
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.fixes import parse_version

#: Checks that say nothing where they are skipped: of a method that the estimator does not have, and the one that needs an
#: environment of its own, which `test_array_api` makes.
SKIPPED = {
    "check_classifiers_multilabel_output_format_decision_function": "decision_function",
    "check_classifiers_multilabel_output_format_predict_proba": "predict_proba",
    "check_array_api_input": None,
}


def run_checks(estimator):
    """Return (check, status, exception, seconds) for each check, with every warning but that of convergence an error."""
    results, last = [], time.perf_counter()

    def note(*, check_name, status, exception, **_):
        nonlocal last
        now = time.perf_counter()
        results.append((check_name, status, exception, now - last))
        last = now

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check_estimator(estimator, expected_failed_checks={}, on_skip=None, on_fail=None, callback=note)
    return results


@pytest.mark.parametrize("name", NAMES)
def test_all_checks_pass(name):
    results = run_checks(make(name))
    print(f"{name} with scikit-learn {sklearn.__version__}: {len(results)} checks, {sum(r[3] for r in results):.1f} s")
    for check, status, _, seconds in sorted(results, key=lambda result: -result[3]):
        print(f"{seconds:7.3f} s  {status:7}  {check}")
    assert len(results) > 40
    failed = [f"{check}: {exception!r}" for check, status, exception, _ in results if status not in ("passed", "skipped")]
    assert not failed, "\n".join(failed)
    for check, status, exception, _ in results:
        if status == "skipped":
            assert check in SKIPPED, f"{check}: {exception}"
            method = SKIPPED[check]
            assert method is None or not hasattr(make(name), method)


def test_a_bad_estimator_is_found():
    """The checks of this file can fail."""

    class Bad(type(make(NAMES[0]))):
        def predict(self, X):
            return super().predict(X)[::-1]

    assert any(status == "failed" for _, status, _, _ in run_checks(Bad()))


ARRAY_API = """
import sys
from estimator_instances import NAMES, make
from sklearn.utils.estimator_checks import check_array_api_input
for name in NAMES:
    check_array_api_input(name, make(name), array_namespace="numpy")
    print(name)
"""


@pytest.mark.skipif(parse_version(sklearn.__version__) < parse_version("1.9"), reason="asked of no other estimators before")
def test_array_api():
    """SciPy has to be imported with SCIPY_ARRAY_API=1, which makes scikit-learn dispatch by the namespace of the arrays."""
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ARRAY_API],
        env={**os.environ, "PYTHONPATH": paths, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == NAMES
