"""More points of the battery: angles, arithmetic beside NaN, log space and activations."""

from __future__ import annotations

import math

import numpy as np

from zkynet.framework import op

inf, nan = np.inf, np.nan
A = np.array
TAIL = math.exp(-40.0)

# name -> the function, its arguments, a cotangent, and the cotangent of each argument
POINTS = {
    "xlogy: (0, 0)": (op.xlogy, (A([0.0, 0.0]), A([0.0, 2.0])), A([2.0, 3.0]), (A([0.0, 3 * math.log(2)]), None)),
    "asin: on its end": (op.asin, (A([1.0, 0.0]),), A([0.0, 2.0]), (A([0.0, 2.0]),)),
    "atan2: the origin": (op.atan2, (A([0.0]), A([0.0])), A([2.0]), (A([0.0]), A([0.0]))),
    "atan2: far out": (op.atan2, (A([1e200]), A([1e200])), A([1e200]), (A([0.5]), A([-0.5]))),
    "asinh: far out": (op.asinh, (A([1e200]),), A([1e200]), (A([1.0]),)),
    "sinc: near 0": (op.sinc, (A([1e-9]),), A([1.0]), (A([-(np.pi**2) / 3 * 1e-9]),)),
    "fmod: a quotient that rounds up": (op.fmod, (A([0.3]), A([0.1])), A([1.0]), (A([1.0]), A([-2.0]))),
    "hypot: the origin": (op.hypot, (A([0.0]), A([0.0])), A([2.0]), (A([0.0]), A([0.0]))),
    "copysign: 0": (lambda x: op.copysign(x, A([1.0, -1.0])), (A([0.0, 2.0]),), A([2.0, 2.0]), (A([0.0, -2.0]),)),
    "cbrt: 0 beneath a cotangent of 0": (op.cbrt, (A([0.0, 8.0]),), A([0.0, 1.0]), (A([0.0, 1 / 12]),)),
    "fmax: NaN": (op.fmax, (A([nan, 1.0, nan]), A([2.0, nan, nan])), A([2.0, 3, 4]), (A([0.0, 3, 4]), A([2.0, 0, 0]))),
    "fmin: a tie": (op.fmin, (A([1.0]), A([1.0])), A([4.0]), (A([2.0]), A([2.0]))),
    "logaddexp: two infinities": (op.logaddexp, (A([-inf]), A([-inf])), A([2.0]), (A([1.0]), A([1.0]))),
    "logaddexp: far out": (op.logaddexp, (A([40.0]), A([0.0])), A([1.0]), (None, A([4.248354255291589e-18]))),
    "log1mexp: far out": (op.log1mexp, (A([40.0]),), A([1.0]), (A([4.248354255291589e-18]),)),
    "relu6: on its bounds": (op.relu6, (A([0.0, 6.0, 7.0, 3.0]),), A([2.0] * 4), (A([0.0, 0, 0, 2]),)),
    "leaky_relu: 0": (op.leaky_relu, (A([0.0, 1.0]),), A([2.0, 2.0]), (A([0.02, 2.0]),)),
    "elu: far out": (op.elu, (A([-40.0, 2.0]),), A([1.0, 1.0]), (A([TAIL, 1.0]),)),
    "silu: infinities": (op.silu, (A([inf, -inf]),), A([2.0, 3.0]), (A([2.0, 0.0]),)),
}
