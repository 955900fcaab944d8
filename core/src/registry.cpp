#include "stele/registry.h"

#include <algorithm>

#include "stele/driver/driver.h"
#include "stele/error.h"

namespace stele {

void Registry::add(std::string scheme, Factory factory) {
  // Url::parse lowers a scheme's letters, so another spelling could never be reached.
  const auto upper = std::find_if(scheme.begin(), scheme.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (scheme.empty() || upper != scheme.end()) {
    throw Error(ErrorCode::invalid_argument, "a driver's scheme has to be lower case: '" + scheme + "'");
  }
  const auto [at, added] = factories_.emplace(std::move(scheme), std::move(factory));
  if (!added)
    throw Error(ErrorCode::invalid_argument, "a driver for the scheme '" + at->first + "' is registered already");
}

std::unique_ptr<driver::Driver> Registry::open(const Url& url, const DriverOptions& options) const {
  const auto found = factories_.find(url.scheme);
  if (found == factories_.end()) {
    std::string known;
    for (const auto& [scheme, factory] : factories_) known += (known.empty() ? "" : ", ") + scheme;
    throw Error(ErrorCode::invalid_argument, "no driver for the URL scheme '" + url.scheme +
                                                 "'; this program has: " + (known.empty() ? "none" : known));
  }
  return found->second(url, options);
}

std::vector<std::string> Registry::schemes() const {
  std::vector<std::string> names;
  names.reserve(factories_.size());
  for (const auto& [scheme, factory] : factories_) names.push_back(scheme);
  return names;
}

}  // namespace stele
