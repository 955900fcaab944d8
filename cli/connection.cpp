#include "connection.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

#include "exit_codes.h"

namespace stele::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// Lines of `key = value`; `#` begins a comment line. The one key is url. Empty when the file does not exist.
std::string url_of_config(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    throw UsageError(path + ": cannot be read: " + std::strerror(errno));
  }
  std::string url;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string_view text = trim(line);
    if (text.empty() || text.front() == '#') continue;
    const std::string where = path + ": line " + std::to_string(number) + ": ";
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) throw UsageError(where + "not of the form `key = value`");
    const std::string_view key = trim(text.substr(0, equals));
    if (key != "url") throw UsageError(where + "unknown key \"" + std::string(key) + "\" (known: url)");
    if (!url.empty()) throw UsageError(where + "url is given twice");
    url = trim(text.substr(equals + 1));
    if (url.empty()) throw UsageError(where + "url is empty");
  }
  if (file.bad()) throw UsageError(path + ": cannot be read");
  return url;
}

}  // namespace

std::string config_path() {
  if (const std::string xdg = environment("XDG_CONFIG_HOME"); !xdg.empty()) return xdg + "/stele/config";
  if (const std::string home = environment("HOME"); !home.empty()) return home + "/.config/stele/config";
  return {};
}

std::string connection_url(const std::string& flag) {
  if (!flag.empty()) return flag;
  if (std::string url = environment("STELE_URL"); !url.empty()) return url;
  const std::string path = config_path();
  if (!path.empty()) {
    if (std::string url = url_of_config(path); !url.empty()) return url;
  }
  throw UsageError("no database is named: give --url, set STELE_URL, or write `url = …` to " +
                   (path.empty() ? std::string("~/.config/stele/config") : path));
}

std::string key_provider(const std::string& flag) {
  return flag.empty() ? environment("STELE_KEYS") : flag;
}

}  // namespace stele::cli
