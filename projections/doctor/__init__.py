"""The doctor: everything that a deployment needs, checked one by one, with what to do where something lacks."""
