"""Models with latent variables that are trained without a label budget."""

from models.latent import betatcvae as betatcvae
from models.latent import convvae as convvae
from models.latent import cvae as cvae
from models.latent import ddpm as ddpm
from models.latent import hvae as hvae
from models.latent import iaf as iaf
from models.latent import iwae as iwae
from models.latent import mmdvae as mmdvae
from models.latent import pythae as pythae
from models.latent import vampprior as vampprior
from models.latent import vqvae as vqvae
