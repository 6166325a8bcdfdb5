"""The models, one per file. Importing this package registers them.

The three of the source report are here, the others in sub-packages by kind. The harness finds the
package by its entry point.
"""

from models import autoregressive as autoregressive
from models import gmvae as gmvae
from models import latent as latent
from models import semi_supervised as semi_supervised
from models import ssvae as ssvae
from models import vae as vae
