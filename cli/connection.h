// Which database a command works on.
#pragma once

#include <memory>
#include <string>

#include "stele/event_store.h"

namespace stele::driver {
class Driver;
}

namespace stele::cli {

/// The URL: the flag's if it is not empty, else STELE_URL, else the config file's. Throws UsageError when nobody gives
/// one.
std::string connection_url(const std::string& flag);

/// $XDG_CONFIG_HOME/stele/config, or ~/.config/stele/config; empty when neither directory is known.
std::string config_path();

/// The description of the key provider: the flag's, else the environment variable STELE_KEYS'; empty: none.
std::string key_provider(const std::string& flag);

}  // namespace stele::cli
