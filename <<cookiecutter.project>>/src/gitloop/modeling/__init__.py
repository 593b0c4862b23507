"""Model development: candidates, training, selection, evaluation, comparison, gates."""

import os

# OpenMP's threads wait by spinning unless told otherwise. Beside any other busy process that makes gradient boosting
# many times slower, and costs nothing where the cores are free. Read once, when scikit-learn is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
