from hypothesis import settings

# A shared machine is slow at times; a test is right or wrong, not late.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
