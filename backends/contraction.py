"""Einstein sums by matrix products, on the array API standard alone."""


def contract(xp, labels_in, labels_out, xs):
    """``Backend.einsum`` in full: pairs are contracted one after the other, the smallest result first."""
    size: dict = {}
    for labels, x in zip(labels_in, xs, strict=True):
        for label, n in zip(labels, x.shape, strict=True):
            size[label] = n if size.get(label, 1) == 1 else size[label]
    terms = [_squeeze(xp, labels, x, size) for labels, x in zip(labels_in, xs, strict=True)]
    while len(terms) > 1:
        i, j = _cheapest(terms, labels_out, size)
        (la, a), (lb, b) = terms[i], terms[j]
        others = set(labels_out).union(*(terms[k][0] for k in range(len(terms)) if k not in (i, j)))
        la, a = _sum_out(xp, la, a, others.union(lb))
        lb, b = _sum_out(xp, lb, b, others.union(la))
        terms = [term for k, term in enumerate(terms) if k not in (i, j)] + [_pair(xp, la, a, lb, b, others)]
    labels, x = _sum_out(xp, *terms[0], set(labels_out))
    x = arrange(xp, labels, x, [label for label in labels_out if label in labels])
    if len(labels) == len(labels_out):
        return x
    x = xp.reshape(x, tuple(size[label] if label in labels else 1 for label in labels_out))
    return xp.broadcast_to(x, tuple(size[label] for label in labels_out))


def arrange(xp, labels, x, order):
    """``x`` with its axes, called ``labels``, put into ``order``."""
    axes = tuple(labels.index(label) for label in order)
    return x if axes == tuple(range(len(axes))) else xp.permute_dims(x, axes)


def _squeeze(xp, labels, x, size):
    """The operand without the axes of length 1 that broadcast."""
    kept = "".join(label for label, n in zip(labels, x.shape, strict=True) if n == size[label])
    return kept, x if kept == labels else xp.reshape(x, tuple(size[label] for label in kept))


def _sum_out(xp, labels, x, needed):
    """Sum over the labels that nothing else needs."""
    axes = tuple(i for i, label in enumerate(labels) if label not in needed)
    if not axes:
        return labels, x
    return "".join(label for label in labels if label in needed), xp.sum(x, axis=axes, dtype=x.dtype)


def _cheapest(terms, labels_out, size):
    """The pair whose product is smallest."""
    if len(terms) == 2:
        return 0, 1
    best, found = None, (0, 1)
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            others = set(labels_out).union(*(terms[k][0] for k in range(len(terms)) if k not in (i, j)))
            cost = _count((set(terms[i][0]) | set(terms[j][0])) & others, size)
            if best is None or cost < best:
                best, found = cost, (i, j)
    return found


def _count(labels, size):
    n = 1
    for label in labels:
        n *= size[label]
    return n


def _pair(xp, la, a, lb, b, needed):
    """The product of two operands as one stack of matrix products: (stack, rows, inner) @ (stack, inner, columns)."""
    stack = [label for label in la if label in lb and label in needed]
    inner = [label for label in la if label in lb and label not in needed]
    rows = [label for label in la if label not in lb]
    columns = [label for label in lb if label not in la]
    if not inner or xp.kind_of(a.dtype) == "b":
        return _outer(xp, la, a, lb, b, inner, stack + rows + columns)
    size = dict(zip(la, a.shape, strict=True)) | dict(zip(lb, b.shape, strict=True))
    n, m, k, p = (_count(group, size) for group in (stack, rows, inner, columns))
    a, b = arrange(xp, la, a, stack + rows + inner), arrange(xp, lb, b, stack + inner + columns)
    if stack:
        product = xp.matmul(xp.reshape(a, (n, m, k)), xp.reshape(b, (n, k, p)))
    else:
        product = xp.matmul(xp.reshape(a, (m, k)), xp.reshape(b, (k, p)))
    labels = stack + rows + columns
    return "".join(labels), xp.reshape(product, tuple(size[label] for label in labels))


def _outer(xp, la, a, lb, b, inner, labels):
    """The product of two operands by broadcasting, then summed over ``inner``."""
    every = labels + inner

    def aligned(names, x):
        size = dict(zip(names, x.shape, strict=True))
        x = arrange(xp, names, x, [label for label in every if label in names])
        return xp.reshape(x, tuple(size.get(label, 1) for label in every))

    if xp.kind_of(a.dtype) == "b":
        product = xp.logical_and(aligned(la, a), aligned(lb, b))
        return "".join(labels), xp.any(product, axis=tuple(range(len(labels), len(every)))) if inner else product
    return "".join(labels), aligned(la, a) * aligned(lb, b)
