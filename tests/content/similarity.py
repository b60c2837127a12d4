"""How alike texts are: Jaccard similarity over five-word shingles, and each text's nearest neighbour, exactly."""

import re
from collections import Counter, defaultdict

_WORD = re.compile(r"\w+")


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Every run of five words of `text`, in small letters."""
    words = _WORD.findall(text.lower())
    return frozenset(zip(*(words[start:] for start in range(5)), strict=False))


def nearest(texts: list[str]) -> list[float]:
    """For each text the similarity of its nearest neighbour: only texts that share a shingle are compared at all."""
    sets = [shingles(text) for text in texts]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    best = [0.0] * len(sets)
    for index, own in enumerate(sets):
        shared: Counter[int] = Counter()
        for shingle in own:
            shared.update(holders[shingle])
            holders[shingle].append(index)
        for other, count in shared.items():
            alike = count / (len(own) + len(sets[other]) - count)
            best[index], best[other] = max(best[index], alike), max(best[other], alike)
    return best
