"""How a session runs code: one interpreter per language, which keeps what code defines.

::

    runner      the agent's side: a queue before one interpreter, its output, its timeout
    languages   which interpreter runs a language, and how it is started
    frames      what runner and interpreter say to each other
    ----------------------------------------------- a process boundary
    python      the interpreter of Python, forked from the agent
    display     what is shown of a value; IPython's `display`
    notebook    `IPython.display` where IPython is not installed, and matplotlib's figures
    driver.*    programs that make node, java and Rscript such interpreters

All of it is loaded before any sandbox exists: see ``pytest_agb.local``.
"""
