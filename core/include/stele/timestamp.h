// Instants in microseconds, and their RFC 3339 form.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "stele/export.h"

namespace stele {

/// An instant: microseconds since 1970-01-01T00:00:00Z, between the years 1 and 9999. No leap seconds.
class STELE_API Timestamp {
 public:
  constexpr Timestamp() noexcept = default;  ///< 1970-01-01T00:00:00Z.

  /// Throws invalid_argument outside 0001-01-01T00:00:00Z … 9999-12-31T23:59:59.999999Z.
  static Timestamp from_micros(std::int64_t micros);

  /// Reads RFC 3339 with any offset. Throws invalid_argument for anything else, for a second of 60 and for digits
  /// beyond microseconds that are not zero: Stele never rounds a time (G10).
  static Timestamp parse(std::string_view text);

  /// This process's clock. The store's own times come from the database's clock instead.
  static Timestamp now() noexcept;

  constexpr std::int64_t micros() const noexcept { return micros_; }

  /// RFC 3339 in UTC with no, three or six digits of fraction, the fewest that are exact: "2026-03-01T08:15:00.250Z".
  std::string to_string() const;

  friend constexpr auto operator<=>(const Timestamp&, const Timestamp&) noexcept = default;

 private:
  constexpr explicit Timestamp(std::int64_t micros) noexcept : micros_(micros) {}
  std::int64_t micros_ = 0;
};

}  // namespace stele
