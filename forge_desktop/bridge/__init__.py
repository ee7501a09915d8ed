"""Between engine and Qt: the only place where engine events become signals."""
