"""The vocabulary that the three layers share. Imports no engine.

An application's definitions need no more than what is listed here.
"""

from core.corrections import Corrections
from core.exact import Count, Max, Mean, Min, Sum
from core.sketches import Quantiles, Top, Uniques
from core.sources import Source
from core.views import View

__all__ = [
    "Corrections", "Count", "Max", "Mean", "Min", "Quantiles", "Source", "Sum", "Top", "Uniques", "View",
]  # fmt: skip
