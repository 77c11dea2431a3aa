"""The vocabulary that the three layers share. Imports no engine.

An application's definitions need no more than what is listed here.
"""

from core.exact import Count, Max, Mean, Min, Sum
from core.lookups import Lookup
from core.sketches import Quantiles, Top, Uniques
from core.sources import Source
from core.views import View

__all__ = ["Count", "Lookup", "Max", "Mean", "Min", "Quantiles", "Source", "Sum", "Top", "Uniques", "View"]
