#include "uri_reference.h"

#include "hex_digit.h"

namespace stele::detail {
namespace {

struct Parts {
  std::optional<std::string_view> scheme, authority, query, fragment;
  std::string_view path;
};

Parts split(std::string_view uri) {
  Parts parts;
  if (const std::size_t hash = uri.find('#'); hash != std::string_view::npos) {
    parts.fragment = uri.substr(hash + 1);
    uri = uri.substr(0, hash);
  }
  if (const std::size_t mark = uri.find('?'); mark != std::string_view::npos) {
    parts.query = uri.substr(mark + 1);
    uri = uri.substr(0, mark);
  }
  if (const std::size_t colon = uri.find_first_of(":/");
      colon != std::string_view::npos && uri[colon] == ':' && colon != 0) {
    parts.scheme = uri.substr(0, colon);
    uri = uri.substr(colon + 1);
  }
  if (uri.starts_with("//")) {
    const std::size_t slash = uri.find('/', 2);
    parts.authority = uri.substr(2, slash == std::string_view::npos ? slash : slash - 2);
    uri = slash == std::string_view::npos ? std::string_view() : uri.substr(slash);
  }
  parts.path = uri;
  return parts;
}

std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    if (path.starts_with("../")) {
      path.remove_prefix(3);
    } else if (path.starts_with("./")) {
      path.remove_prefix(2);
    } else if (path.starts_with("/./")) {
      path.remove_prefix(2);
    } else if (path == "/.") {
      path = "/";
    } else if (path.starts_with("/../") || path == "/..") {
      path = path == "/.." ? std::string_view("/") : path.substr(3);
      const std::size_t slash = out.rfind('/');
      out.resize(slash == std::string::npos ? 0 : slash);
    } else if (path == "." || path == "..") {
      break;
    } else {
      const std::size_t next = path.find('/', 1);
      out += path.substr(0, next);
      path = next == std::string_view::npos ? std::string_view() : path.substr(next);
    }
  }
  return out;
}

}  // namespace

std::string resolve_uri(std::string_view base, std::string_view reference) {
  const Parts from = split(base);
  Parts to = split(reference);
  std::string path;
  if (to.scheme) {
    path = without_dot_segments(to.path);
  } else {
    to.scheme = from.scheme;
    if (to.authority) {
      path = without_dot_segments(to.path);
    } else {
      to.authority = from.authority;
      if (to.path.empty()) {
        path = from.path;
        if (!to.query) to.query = from.query;
      } else if (to.path.front() == '/') {
        path = without_dot_segments(to.path);
      } else {
        const std::size_t slash = from.path.rfind('/');
        std::string merged = from.authority && from.path.empty() ? "/"
                             : slash == std::string_view::npos   ? ""
                                                                 : std::string(from.path.substr(0, slash + 1));
        merged += to.path;
        path = without_dot_segments(merged);
      }
    }
  }
  std::string target;
  const auto add = [&](const std::optional<std::string_view>& part, std::string_view before, std::string_view behind) {
    if (!part) return;
    target += before;
    target += *part;
    target += behind;
  };
  add(to.scheme, "", ":");
  add(to.authority, "//", "");
  target += path;
  add(to.query, "?", "");
  add(to.fragment, "#", "");
  return target;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace stele::detail
