"""Tests of csrc/ops; a package, so that file names may recur in the folder above."""
