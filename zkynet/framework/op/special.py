"""``op.special``: special functions under SciPy's names, the explicit list.

They keep float32 and float64, are computed in double precision of integers, and are differentiable to any order in
every argument whose docstring does not say otherwise. On NumPy SciPy computes them, where it is installed: with NumPy
alone the families of erf, gamma, beta and their incomplete functions are there, and the rest is an ImportError that
says so.
"""

from ..operations.activation import sigmoid as expit
from ..operations.special_bessel import i0, i0e, i1, i1e, iv, ive, j0, j1, jn, kv, kve, kve_order, y0, y1, yn
from ..operations.special_error import dawsn, erf, erfc, erfcinv, erfcx, erfinv, log_ndtr, logit, ndtr, ndtri, owens_t
from ..operations.special_gamma import (
    beta,
    betaln,
    comb,
    digamma,
    factorial,
    gamma,
    gammaln,
    gammasgn,
    multigammaln,
    poch,
    polygamma,
    rgamma,
    sinpi,
    zeta,
    zeta_derivative,
)
from ..operations.special_incomplete import (
    betainc,
    betainc_moment,
    betaincinv,
    gammainc,
    gammainc_moment,
    gammaincc,
    gammainccinv,
    gammaincinv,
)
from ..operations.special_integrals import (
    boxcox,
    boxcox1p,
    entr,
    exp1,
    expi,
    expn,
    exprel,
    fresnel,
    hyp1f1,
    hyp2f1,
    kl_div,
    lambertw,
    rel_entr,
    sici,
    spence,
)
from ..operations.special_student import stdtr, stdtr_df

lgamma, psi = gammaln, digamma

# fmt: off
__all__ = [
    "beta", "betainc", "betainc_moment", "betaincinv", "betaln", "boxcox", "boxcox1p", "comb", "dawsn", "digamma",
    "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "exp1", "expi", "expit", "expn", "exprel", "factorial",
    "fresnel", "gamma", "gammainc", "gammainc_moment", "gammaincc", "gammainccinv", "gammaincinv", "gammaln",
    "gammasgn", "hyp1f1", "hyp2f1", "i0", "i0e", "i1", "i1e", "iv", "ive", "j0", "j1", "jn", "kl_div", "kv", "kve",
    "kve_order", "lambertw", "lgamma", "log_ndtr", "logit", "multigammaln", "ndtr", "ndtri", "owens_t", "poch",
    "polygamma", "psi", "rel_entr", "rgamma", "sici", "sinpi", "spence", "stdtr", "stdtr_df", "y0", "y1", "yn",
    "zeta", "zeta_derivative",
]
# fmt: on
