"""Exponentials and logarithms, and products with a logarithm that are 0 where their factor is."""

import math

from ..operator import Elementwise
from ..quick import binary, unary

LOG2, LOG10 = math.log(2.0), math.log(10.0)


class Exp(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.exp(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, y)  # y may be infinite


class Exp2(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.exp2(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, LOG2 * y)


class Expm1(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.expm1(x)

    def vjp_x(self, xp, g, y):
        return xp.multiply_no_nan(g, y + 1)


class Log(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.log(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / x)


class Log1p(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.log1p(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / (1 + x))


class Log2(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.log2(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / (LOG2 * x))


class Log10(Elementwise):
    promotion = "inexact"

    def forward(self, xp, x):
        return xp.log10(x)

    def vjp_x(self, xp, g, x):
        return xp.multiply_no_nan(g, 1 / (LOG10 * x))


class Xlogy(Elementwise):
    """a log(b), and 0 where a is 0 and b is not NaN. At (0, 0) the derivative in a is 0, in b it is NaN."""

    promotion = "inexact"

    def forward(self, xp, a, b):
        zero = (a == 0) & ~xp.isnan(b)
        return xp.select(~zero, a * xp.log(xp.where(zero, 1, b)))

    def vjp_a(self, xp, g, a, b):
        dead = (a == 0) & (b == 0)
        return xp.multiply_no_nan(xp.select(~dead, g), xp.log(xp.where(dead, 1, b)))

    def vjp_b(self, xp, g, a, b):
        return xp.multiply_no_nan(g, a / b)


class Xlog1py(Elementwise):
    """a log(1 + b), and 0 where a is 0 and b is not NaN. At (0, -1) the derivative in a is 0, in b it is NaN."""

    promotion = "inexact"

    def forward(self, xp, a, b):
        zero = (a == 0) & ~xp.isnan(b)
        return xp.select(~zero, a * xp.log1p(xp.where(zero, 0, b)))

    def vjp_a(self, xp, g, a, b):
        dead = (a == 0) & (b == -1)
        return xp.multiply_no_nan(xp.select(~dead, g), xp.log1p(xp.where(dead, 0, b)))

    def vjp_b(self, xp, g, a, b):
        return xp.multiply_no_nan(g, a / (1 + b))


exp = unary(Exp(), "e ** x.")


exp2 = unary(Exp2(), "2 ** x, exact where x is whole.")


expm1 = unary(Expm1(), "e ** x - 1, exact near 0.")


log = unary(Log(), "The natural logarithm.")


log1p = unary(Log1p(), "log(1 + x), exact near 0.")


log2 = unary(Log2(), "The logarithm to base 2.")


log10 = unary(Log10(), "The logarithm to base 10.")


xlogy = binary(Xlogy(), "a log(b), 0 where a is 0: so is its derivative in a where both are.")


xlog1py = binary(Xlog1py(), "a log(1 + b), 0 where a is 0: so is its derivative in a where b is -1 as well.")
