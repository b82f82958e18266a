"""Numpy code that works in memory planned beforehand: what -O2 adds to a module.

A step's values lie in arrays made once (`plan`, `rooms`), each computed by one call that is given
where to write (`kernels`), in the order of `phases`: what depends on no data once, what depends on no
parameter once for every batch, the rest in every step.
"""
