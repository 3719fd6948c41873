"""Starts deface with a chosen number of threads: it has no option for that itself.

With ONNX Runtime's own choice, one thread per core, idle threads spin: on two cores that costs deface a quarter to a
half more CPU than one thread does. So one thread is the fair figure.
"""

import functools
import sys

import cv2
import onnxruntime
from deface.deface import main

threads = int(sys.argv.pop(1))
cv2.setNumThreads(threads)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
onnxruntime.InferenceSession = functools.partial(onnxruntime.InferenceSession, sess_options=options)
main()
