def run(options):
    yield from ()
