"""Which layer each node stands in: all arrows go down, boxes take whole runs of layers, leaves stand near their use."""

from __future__ import annotations

from dataclasses import dataclass

from zkynet.visual.boxtree import BoxTree, common

Edges = list[tuple[int, int]]


def without_cycles(count: int, edges: Edges) -> list[bool]:
    """For each edge, whether to turn it around so that no cycle is left.

    Graphs of a computation have none; a box that is folded although values leave it and come back has.
    """
    out: list[list[int]] = [[] for _ in range(count)]
    for number, (source, _) in enumerate(edges):
        out[source].append(number)
    state = [0] * count  # 0 not seen, 1 on the path from the start, 2 done
    turned = [False] * len(edges)
    for start in range(count):
        if state[start]:
            continue
        state[start] = 1
        stack = [(start, iter(out[start]))]
        while stack:
            node, rest = stack[-1]
            number = next(rest, -1)
            if number < 0:
                state[node] = 2
                stack.pop()
                continue
            target = edges[number][1]
            turned[number] = state[target] == 1
            if state[target] == 0:
                state[target] = 1
                stack.append((target, iter(out[target])))
    return turned


@dataclass(frozen=True)
class Rule:
    """``rank[above] + length <= rank[below]``; ``weight`` says how much it costs to be longer than that."""

    above: int
    below: int
    length: int
    weight: int


def ranks_of(count: int, edges: Edges, tree: BoxTree) -> list[int]:
    """A layer for each of ``count`` nodes, 0 on top, such that every edge goes at least one layer down.

    What flows from one box into another does so downwards as well: the first box ends above where the second begins.
    Where boxes are entangled so that this is impossible, it is given up for all of them.
    """
    vertices = count + 2 * (len(tree) - 1)
    rules = _rules(count, edges, tree, boxes_in_order=True)
    order = _topological(vertices, rules)
    if order is None:
        rules = _rules(count, edges, tree, boxes_in_order=False)
        order = _topological(vertices, rules)
    if order is None:
        raise ValueError("The edges form a cycle; turn those around that without_cycles names.")
    rank = _compact(_Ranking(vertices, rules, order))[:count]
    used = {layer: number for number, layer in enumerate(sorted(set(rank)))}
    return [used[layer] for layer in rank]


def _rules(count: int, edges: Edges, tree: BoxTree, boxes_in_order: bool) -> list[Rule]:
    def top(box: int) -> int:
        return count + 2 * (box - 1)

    def bottom(box: int) -> int:
        return top(box) + 1

    rules = [Rule(source, target, 1, 1) for source, target in edges]
    for node, box in enumerate(tree.of_node):
        if box:
            rules += [Rule(top(box), node, 0, 0), Rule(node, bottom(box), 0, 0)]
    for box in range(1, len(tree)):
        rules.append(Rule(top(box), bottom(box), 0, 1))
        if parent := tree.parents[box]:
            rules += [Rule(top(parent), top(box), 0, 0), Rule(bottom(box), bottom(parent), 0, 0)]
    if boxes_in_order:
        between = set()
        for source, target in edges:
            first, second = tree.chains[tree.of_node[source]], tree.chains[tree.of_node[target]]
            shared = common(first, second)
            above = bottom(first[shared]) if len(first) > shared else source
            below = top(second[shared]) if len(second) > shared else target
            between.add((above, below))
        rules += [Rule(above, below, 1, 0) for above, below in sorted(between.difference(edges))]
    return rules


def _topological(vertices: int, rules: list[Rule]) -> list[int] | None:
    waiting = [0] * vertices
    below: list[list[int]] = [[] for _ in range(vertices)]
    for rule in rules:
        waiting[rule.below] += 1
        below[rule.above].append(rule.below)
    order = [vertex for vertex in range(vertices) if not waiting[vertex]]
    for vertex in order:  # grows while it is read
        for each in below[vertex]:
            waiting[each] -= 1
            if not waiting[each]:
                order.append(each)
    return order if len(order) == vertices else None


class _Ranking:
    """The rules by vertex, and the weights that pull each one up and down."""

    def __init__(self, vertices: int, rules: list[Rule], order: list[int]) -> None:
        self.order = order
        self.above: list[list[tuple[int, int]]] = [[] for _ in range(vertices)]
        self.below: list[list[tuple[int, int]]] = [[] for _ in range(vertices)]
        self.pull_up, self.pull_down = [0] * vertices, [0] * vertices
        self.computed_of: list[list[int]] = [[] for _ in range(vertices)]
        self.used_by: list[list[int]] = [[] for _ in range(vertices)]
        computed = {rule.below for rule in rules if rule.weight}
        for rule in rules:
            self.below[rule.above].append((rule.below, rule.length))
            self.above[rule.below].append((rule.above, rule.length))
            self.pull_down[rule.above] += rule.weight
            self.used_by[rule.above] += [rule.below] * rule.weight
            if rule.above in computed:  # a leaf holds nothing back: it moves along, or its line is long anyhow
                self.pull_up[rule.below] += rule.weight
                self.computed_of[rule.below] += [rule.above] * rule.weight

    def floating(self) -> list[bool]:
        """What is used once and computed of leaves or of such alone: it goes down to where it is used."""
        floats = [False] * len(self.order)
        for vertex in self.order:
            floats[vertex] = self.pull_down[vertex] == 1 and all(floats[each] for each in self.computed_of[vertex])
        return floats

    def cost(self, rank: list[int]) -> int:
        """How long all edges are together; those from one vertex run together and count once."""
        longest = (
            max((rank[each] for each in below), default=rank[vertex]) for vertex, below in enumerate(self.used_by)
        )
        return sum(low - rank[vertex] for vertex, low in enumerate(longest))

    def rising(self) -> list[bool]:
        """Results of at most one computed argument, and what only such are made of: they go up to their arguments."""
        rises = [False] * len(self.order)
        for vertex in reversed(self.order):
            rises[vertex] = self.pull_up[vertex] <= 1 and all(rises[each] for each in self.used_by[vertex])
        return rises


def _compact(ranking: _Ranking) -> list[int]:
    """All as low, or as high, as possible, and from there to where edges are shortest; the better of the two."""
    lowest, highest = [0] * len(ranking.order), [0] * len(ranking.order)
    for vertex in reversed(ranking.order):
        lowest[vertex] = min((lowest[below] - length for below, length in ranking.below[vertex]), default=0)
    for vertex in ranking.order:
        highest[vertex] = max((highest[above] + length for above, length in ranking.above[vertex]), default=0)
    return min(_shortened(ranking, lowest), _shortened(ranking, highest), key=ranking.cost)


def _shortened(ranking: _Ranking, rank: list[int]) -> list[int]:
    """``rank`` with each vertex moved to where its edges are shortest, until nothing moves."""
    floats, rises = ranking.floating(), ranking.rising()
    for _ in range(8):
        before = list(rank)
        for vertex in ranking.order:
            up, down = ranking.pull_up[vertex], ranking.pull_down[vertex]
            if ranking.above[vertex] and (up > down or rises[vertex]):
                rank[vertex] = max(rank[above] + length for above, length in ranking.above[vertex])
        for vertex in reversed(ranking.order):
            up, down = ranking.pull_up[vertex], ranking.pull_down[vertex]
            if ranking.below[vertex] and (down > up or floats[vertex]):
                rank[vertex] = min(rank[below] - length for below, length in ranking.below[vertex])
        if rank == before:
            break
    return rank
