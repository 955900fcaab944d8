// URI references, RFC 3986 section 5.2.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stele::detail {

/// The target of a reference that stands in a document with this base. Without a base that is absolute: as good as can
/// be, and equal for equal arguments.
std::string resolve_uri(std::string_view base, std::string_view reference);

/// Without "%XX"; nullopt where a per cent sign is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace stele::detail
