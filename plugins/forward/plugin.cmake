# It encrypts what it passes on where OpenSSL is there.
if(OPENSSL_FOUND)
  set(definitions FORWARD_TLS)
  set(libraries PkgConfig::OPENSSL)
else()
  message(WARNING "libssl-dev (OpenSSL 3) is missing: forward.so has no TLS to its targets")
endif()
