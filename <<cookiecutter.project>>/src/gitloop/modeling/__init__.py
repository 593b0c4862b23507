"""Model development: candidates, training, selection, evaluation, comparison, gates."""

import os

# OpenMP's threads wait by spinning without end unless told otherwise. Beside any other busy process that makes gradient
# boosting many times slower; to sleep at once costs it half as much again where the cores are free. GNU's library can
# spin for some microseconds first, others sleep. Read once, when scikit-learn is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
