"""Write the C that Cython generates once more, so that GCC builds for size what is not HOT: a sixth of the extension less.

    python cmake/build_rare_small.py GENERATED.c OUT.c

Cython cannot say such a thing of a function, so it is added to the prototypes. A name that HOT lacks, or one too many, changes size
and speed alone.
"""

import re
import sys
from pathlib import Path

PROTOTYPE = re.compile(r"^static (.*?\b__pyx_(?:f|pf|pw)_\w*?\d(?:plans|kernels|files)_(\w+)\(.*\); ?/\* ?proto ?\*/)$", re.M)

#: What a call of a small net, a step or an epoch goes through: methods, with the name of their class before, and functions.
HOT = re.compile(
    r"""(\d+[A-Z][A-Za-z]*)?(_?\d+)?_?(
    _bind_data | _bind_sequences | _block | _count_changes | _dense | _drop | _enter | _enter_with | _find | _has_shape | _hold |
    _infer | _infer_array | _is_free | _is_plain | _leave | _lengths | _look_for_indices | _may | _need_compiled | _need_plan |
    _need_rows | _need_steps | _new_result | _notice_arrays | _probing | _rethrow | _run_backward | _run_forward | _step |
    _switch_for | _take_carried | _tidy | _use | _wait | __call__ | __enter__ | __exit__ | apply_gradients | backward |
    backward_plain | bind_source | breathe | called_in | enter | enter_empty | evaluate | float64_out | forward | forward_plain |
    infer | infer_plain | knows | leave | leave_empty | need_a_step | predict | predict_few | rows_of | shape_of | shuffle |
    size_of | step | step_batch | step_once | take | train)""",
    re.X,
)


def mark(prototype: re.Match[str]) -> str:
    """Return the prototype, with GCC's attribute where the function is not hot."""
    return prototype[0] if HOT.fullmatch(prototype[2]) else f'static __attribute__((optimize("Os"))) {prototype[1]}'


def main() -> None:
    text, count = PROTOTYPE.subn(mark, Path(sys.argv[1]).read_text(encoding="utf-8"))
    if not count:
        sys.exit(f"{sys.argv[1]}: no prototypes of functions, as Cython writes them, were found")
    Path(sys.argv[2]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
