"""Virtual clusters that are pods of a host cluster: of one made by kind, or of any that is there already.

The one rule: whatever is made on the host belongs to one object, the Service of the virtual cluster; with it everything
goes, whoever deletes it and whatever has died before.
"""
