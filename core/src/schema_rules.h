// A compiled JSON Schema: what every value has to be checked against.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ecma_pattern.h"
#include "exact_decimal.h"
#include "json_tree.h"
#include "stele/schema.h"

namespace stele::detail {

/// A number with at most 18 digits, mantissa × 10^exponent, exponent from -18 to 18: what most are, and fast.
struct SmallDecimal {
  std::int64_t mantissa = 0;
  int exponent = 0;
};

std::optional<SmallDecimal> small_decimal(std::string_view number) noexcept;

/// A number of a schema.
struct Bound {
  std::string text;  // As the schema has it.
  ExactDecimal exact;
  std::optional<SmallDecimal> small;

  explicit Bound(std::string_view number) : text(number), exact(parse_decimal(number)), small(small_decimal(number)) {}
};

/// -1, 0 or 1, as the number is less than, equal to or greater than the bound. Exact.
int compare(std::string_view number, const Bound& bound);
/// Whether the number is a multiple. The divisor is above 0 and has at most 18 digits. Exact.
bool is_multiple(std::string_view number, const Bound& divisor);
/// Whether it has no fraction: 1.0 and 1e3 have none.
bool is_whole(std::string_view number);

enum SchemaType : unsigned {
  type_null = 1,
  type_boolean = 2,
  type_object = 4,
  type_array = 8,
  type_number = 16,
  type_string = 32,
  type_integer = 64,
};

struct Schema;

struct EnumRule {
  const char* keyword = "enum";         // or "const"
  unsigned kinds = 0;                   // bits by JsonKind
  std::vector<std::string> canonicals;  // sorted
};

struct NumberRules {
  std::optional<Bound> multiple_of, minimum, maximum, exclusive_minimum, exclusive_maximum;
};

struct StringRules {
  std::optional<std::uint64_t> min_length, max_length;
  std::string pattern_text;
  std::string pattern_shown;  // shortened
  std::optional<EcmaPattern> pattern;
};

struct ArrayRules {
  std::optional<std::uint64_t> min_items, max_items;
  bool unique = false;
  const Schema* items = nullptr;       // of all elements
  std::vector<const Schema*> tuple;    // or of the first ones
  const Schema* additional = nullptr;  // of those behind the tuple
  const Schema* contains = nullptr;
};

struct ObjectRules {
  /// A name that some rule mentions. Each has a slot that tells whether the object has it.
  struct Known {
    std::string name;
    const Schema* schema = nullptr;  // of `properties`
  };
  struct Dependency {
    std::size_t trigger;                // slot
    std::vector<std::size_t> required;  // slots
    const Schema* schema = nullptr;
  };
  std::vector<Known> known;           // sorted by name; the index is the slot
  std::vector<std::size_t> required;  // slots, in the schema's order
  std::vector<Dependency> dependencies;
  struct Pattern {
    std::string text;
    EcmaPattern names;
    const Schema* schema;
  };
  std::vector<Pattern> patterns;
  const Schema* additional = nullptr;
  const Schema* names = nullptr;
  std::optional<std::uint64_t> min_properties, max_properties;

  /// known.size() when it is none of them.
  std::size_t slot(std::string_view name) const noexcept;
};

/// One schema of the document. With `ref` nothing else is set.
struct Schema {
  std::string location;
  bool never = false;
  const Schema* ref = nullptr;
  unsigned types = 0;  // 0: any
  std::vector<EnumRule> enums;
  std::unique_ptr<NumberRules> number;
  std::unique_ptr<StringRules> string;
  std::unique_ptr<ArrayRules> array;
  std::unique_ptr<ObjectRules> object;
  std::vector<const Schema*> all_of, any_of, one_of;
  const Schema* not_ = nullptr;
  const Schema* if_ = nullptr;
  const Schema* then_ = nullptr;
  const Schema* else_ = nullptr;
};

/// Appends "/" and the token, escaped.
void append_pointer_token(std::string_view token, std::string& pointer);

/// Compiles the tree of a schema's text. Throws as SchemaValidator::compile.
struct CompiledSchema {
  std::deque<Schema> schemas;  // the first is the root
  std::vector<IgnoredKeyword> ignored;
};
CompiledSchema compile_schema(const JsonTree& tree);

/// Whether a value is as one schema of a compiled one wants it.
bool accepts(const Schema& schema, const JsonNode& value);

}  // namespace stele::detail
