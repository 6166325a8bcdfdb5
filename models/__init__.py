"""The models, one per file. Importing this package registers them.

The harness finds the package by its entry point.
"""

from models import gmvae as gmvae
from models import ssvae as ssvae
from models import vae as vae
