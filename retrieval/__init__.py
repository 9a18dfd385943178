import os

# OpenMP threads that wait should sleep. By default they spin, and any other load on the machine then makes every small
# operation ten times slower (bench/README.md). torch reads this variable when it loads, so it is set here, in the
# package that every process imports first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
