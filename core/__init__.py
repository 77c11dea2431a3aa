"""The vocabulary that the three layers share. Imports no engine.

An application's definitions need no more than what is listed here.
"""

from core.corrections import Corrections
from core.exact import Count, Max, Mean, Min, Sum
from core.identity import Identity
from core.lookups import Lookup
from core.ratios import Ratio
from core.sketches import Quantiles, Top, Uniques
from core.sources import Source
from core.views import View
from core.visits import Visits

__all__ = [
    "Corrections", "Count", "Identity", "Lookup", "Max", "Mean", "Min", "Quantiles", "Ratio", "Source",
    "Sum", "Top", "Uniques", "View", "Visits",
]  # fmt: skip
