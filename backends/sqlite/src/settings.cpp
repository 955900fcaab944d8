#include "settings.h"

#include <algorithm>
#include <cctype>

#include "stele/error.h"

namespace stele::sqlite {

Settings parse_settings(const Url& url, bool create) {
  url.allow_params({"synchronous", "busy_timeout", "readers"});
  if (!url.hosts.empty() || url.user || url.password) {
    throw Error(ErrorCode::invalid_argument,
                "a sqlite URL names a file, not a host: sqlite:file.db or sqlite:///path/file.db");
  }
  if (url.path.empty())
    throw Error(ErrorCode::invalid_argument, "a sqlite URL needs a file: sqlite:file.db, or sqlite::memory:");
  Settings settings;
  settings.create = create;
  if (url.path != ":memory:") settings.path = url.path;
  if (const auto choice = url.choice_param("synchronous", {"full", "extra", "normal"})) {
    settings.synchronous = *choice;
    std::transform(settings.synchronous.begin(), settings.synchronous.end(), settings.synchronous.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  }
  settings.busy_timeout = url.duration_param("busy_timeout").value_or(settings.busy_timeout);
  settings.readers = static_cast<std::size_t>(url.integer_param("readers", 1, 64).value_or(4));
  return settings;
}

}  // namespace stele::sqlite
