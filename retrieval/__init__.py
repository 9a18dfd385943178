import os

# A thread that waits for its fellows should sleep. By default OpenMP's threads spin instead, and whatever else runs
# on the machine then slows every small operation ten times over (bench/README.md). Read when torch loads, so it is
# said here, in the package that every process imports first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
