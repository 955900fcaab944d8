// JSON Schema: what a payload has to look like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stele/export.h"
#include "stele/json.h"

namespace stele {

namespace detail {
struct CompiledSchema;
}

/// One rule that a document breaks. Pointers are JSON Pointers (RFC 6901), "" being the whole; those of more than 500
/// bytes are cut and end in "…". No text holds a value of the document; a pointer names its members.
struct SchemaViolation {
  std::string pointer;         ///< Where in the document.
  std::string keyword;         ///< The rule: "required", "minimum" …; "false" for a schema that allows nothing.
  std::string schema_pointer;  ///< Where in the schema the rule stands, behind all `$ref`.
  std::string message;         ///< What is wrong, in words.

  /// "/lines/0/qty: is less than the minimum 1 (schema: /properties/lines/items/properties/qty/minimum)".
  STELE_API std::string to_string() const;
  friend bool operator==(const SchemaViolation&, const SchemaViolation&) = default;
};

/// A keyword of a schema that checks nothing.
struct IgnoredKeyword {
  std::string schema_pointer;  ///< Of the keyword.
  std::string why;
  friend bool operator==(const IgnoredKeyword&, const IgnoredKeyword&) = default;
};

struct SchemaCheckOptions {
  std::size_t max_violations = 20;  ///< Stop after so many; at least 1.
};

/// A JSON Schema, compiled once. Immutable: any number of threads may use one. Cheap to copy.
///
/// Draft 7, with every keyword that asserts. Differences from the letter, all in docs/schemas.md:
/// - Numbers are compared as exact decimals, whatever their size: no digit is lost, 19.99 is a multiple of 0.01,
/// and 1.0
///   is an integer.
/// - `format`, `contentEncoding` and `contentMediaType` assert nothing. Neither do keywords that are not draft 7's.
///   ignored() lists all of them, so that a misspelt rule is seen.
/// - `$ref` is followed within the schema (pointers, `$id`), also recursively, and never to another document: such a
///   schema is refused. So is one that refers to itself without going into the document.
/// - `pattern` and `patternProperties` are ECMA-262 expressions that are searched in time linear in the text. What
/// cannot
///   be (look-around, back-references, a repetition of more than 1,000) is refused when the schema is compiled.
class STELE_API SchemaValidator {
 public:
  /// Throws invalid_argument that says where in the schema and why, too_large above limits::schema_bytes, and
  /// unsupported for a `$schema` of another draft, a reference to another document, and a pattern that needs
  /// backtracking.
  static SchemaValidator compile(std::string_view schema);

  /// Empty when the document is as the schema wants it. Takes time linear in the document's size, times what the
  /// schema asks of each value. Throws too_large when a schema asks more than 1,000 steps of each value on average.
  std::vector<SchemaViolation> check(const Json& document, const SchemaCheckOptions& options = {}) const;
  /// The same for a text that may also be a string, a number, true, false or null. Throws invalid_argument when it is
  /// no JSON by the rules of Json.
  std::vector<SchemaViolation> check_text(std::string_view document, const SchemaCheckOptions& options = {}) const;

  /// Whether check() would give no violation; a little faster.
  bool accepts(const Json& document) const;

  const std::vector<IgnoredKeyword>& ignored() const noexcept;

  /// The text it was compiled from.
  const std::string& text() const noexcept;

  /// Internal.
  const detail::CompiledSchema& compiled() const noexcept;

 private:
  struct Compiled;
  explicit SchemaValidator(std::shared_ptr<const Compiled> compiled) noexcept;
  std::shared_ptr<const Compiled> compiled_;
};

/// Why events of another version of a schema may not do.
struct CompatibilityFinding {
  enum class Affects : std::uint8_t {
    old_readers,  ///< A reader that was made for the old version may choke on an event of the new one.
    old_writers,  ///< An event that was valid in the old version may not be in the new one: also those already stored.
  };
  Affects affects = Affects::old_readers;
  /// This may be harmless: what is said in the two schemas cannot be compared, or something else in them excludes it.
  bool unjudged = false;
  std::string pointer;         ///< Where in a document; `*` for any element or member, `*` too for names by pattern.
  std::string keyword;         ///< The rule that may be broken.
  std::string schema_pointer;  ///< Where it stands: in the old schema for old readers, in the new one for old writers.
  std::string message;         ///< In words.

  /// "old readers: /status: enum: …"
  STELE_API std::string to_string() const;
  friend bool operator==(const CompatibilityFinding&, const CompatibilityFinding&) = default;
};

/// Compares two versions of one event type's schema: is every document that is valid in the one valid in the other?
/// Empty when that is so for both ways. Conservative: what is not shown to be harmless is a finding, and what cannot be
/// compared (two different patterns, `not`, `if`, `oneOf`, `contains`, `propertyNames` that are not the same in both)
/// is one that is marked `unjudged`. What asserts nothing (`format`, titles, defaults) is not looked at, nor what
/// values mean. At most 200 findings.
STELE_API std::vector<CompatibilityFinding> check_compatibility(const SchemaValidator& old_version,
                                                                const SchemaValidator& new_version);

}  // namespace stele
