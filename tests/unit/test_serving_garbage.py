"""What the collector spares: in a process of its own, for it spares everything there is."""

import subprocess
import sys

_SPARED = """
import gc
from serving_layer.garbage import spare_what_stays

stays = [[]]
spare_what_stays()
assert not any(one is stays for one in gc.get_objects()), "it is looked at again and again"

class Knot:
    pass

def tie():
    knot = Knot()
    knot.itself = knot
    return id(knot)

tie()
assert any(isinstance(one, Knot) for one in gc.get_objects())
gc.collect()
assert not any(isinstance(one, Knot) for one in gc.get_objects()), "what comes later is collected as ever"
"""


def test_what_stays_is_left_out_and_what_comes_later_is_collected() -> None:
    done = subprocess.run([sys.executable, "-c", _SPARED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
