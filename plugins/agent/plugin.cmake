# It asks the daemon, in JSON.
set(shared control)
set(libraries PkgConfig::JANSSON)
