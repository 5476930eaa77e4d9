"""The memory that compiled code and Python share for a run: 64-bit words at fixed places.

A run that left holds here what `drybpf.state.State` needs to go on: the pc, the registers, the
fuel and a record for each caller.
"""

from __future__ import annotations

PC = 0  # the instruction to go on from; FINISHED where the program has returned
REGISTERS = 1  # eleven words
FUEL = 12
REASON = 13  # why the run left
DEPTH = 14  # of the frame that left, from 0
PACKET, PACKET_LENGTH = 16, 17  # host address, bytes
CONTEXT, CONTEXT_LENGTH = 18, 19
STACK = 20  # host address of the whole stack
REGIONS, REGION_COUNT = 21, 22  # host address of the table of regions
HELPERS = 23  # host address of pairs: helper, its context
LAST_SHARED_HELPER = 1023  # by its number, where programs share the table; others leave
PENDING = 24  # a helper's result that is not a plain number: an owned reference
COUNT = 25  # instructions, in the counting variant
TURN, TIMES, ARGUMENT = 26, 27, 28  # of the loop in whose function a run goes on (`callbacks`)
FRAMES = 32  # a record a depth: return pc, r6 to r9, the number of the code, and of a frame that
# waits for the function of a loop to return, what `Looping` has (`times` is 0 in others)
FRAME_WORDS = 10
BATCH = FRAMES + 8 * FRAME_WORDS  # what a batch adds, see below

# What a program that does not stand alone finds: its space, its place among others
STORES = BATCH + 10  # host address of the table of stores and maps (`surroundings`)
CPU, EPOCH = STORES + 1, STORES + 2
LOW, BEGIN, HIGH = range(STORES + 3, STORES + 6)  # guest addresses of a packet that moves
CODE = STORES + 6  # number of the program that left; 0 is the one that was entered
TAIL_CALLS = STORES + 7
PROGRAMS = STORES + 8  # host address of the table of compiled programs, by number
LIMIT = STORES + 9  # the guest address behind the buffer of a packet that moves
WORDS = STORES + 10

# A batch: data and its length, offsets, verdicts, scratch for private copies
DATA, DATA_LENGTH, OFFSETS, VERDICTS = range(BATCH, BATCH + 4)
INDEX, END, SCRATCH, ROOM, BUDGET, RELEASE = range(BATCH + 4, BATCH + 10)

# A region: guest address, length, host address, writable, mask and room (see `memory.Region`)
REGION_WORDS = 6

# Reasons
CHECK = 0  # a check failed: the interpreter goes on from the instruction
RAISED = 1  # a Python helper raised; its exception is set
PENDING_RESULT = 2  # a helper returned what only the interpreter can take

BAD_OFFSETS = 3  # a batch's offsets leave its data
SMALL_SCRATCH = 4  # a packet does not fit into the batch's scratch
WRONG = 5  # what the guard of a loop stands for failed: a bug, found in paranoid mode

LEFT = -(1 << 63)  # the fuel that a function returns when it left
SLICE = 1 << 24  # the fuel that compiled code is given at once; Python looks for signals then

# Words of `@env`, which belongs to one compiled program: its fuel, what finishes a call that left,
# its helpers, what takes calls of other forms, how many calls wait in this code for Python (it must
# not be freed), the number of its code, the tables of stores and of compiled programs, the count of
# the space's runs, and the CPU.
ENV_FUEL, ENV_FALLBACK, ENV_HELPERS, ENV_OTHER, ENV_INSIDE, ENV_CODE = range(6)
ENV_STORES, ENV_PROGRAMS, ENV_EPOCH, ENV_CPU, ENV_WORDS = range(6, 11)
