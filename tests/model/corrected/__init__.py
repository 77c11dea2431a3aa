"""The platform of a source whose events are corrected, on the real chains and the real step that takes back.

orders.py   events that correct others, their view, and a loop over the log that says which count
speed.py    what Redis keeps of events, and a micro-batch that takes some back
batch.py    which events stop counting below a boundary, the chains of a version, the check of a publish
platform.py what can be sent, and what an answer has to hold
machine.py  schedules with corrections
planted.py  simpler versions that go wrong
"""
