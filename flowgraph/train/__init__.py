"""Training: plan, learners, the loop, evaluation, progress and report; checkpoints and folders.

Assumes checked diagrams and the modules emitted from them. One stage one file: `plan` says what
is to be done, a learner does one step, `loop` makes a run of steps.
"""
