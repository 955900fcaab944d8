// What a new version of a schema does to readers and writers of the old one.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stele/schema.h"

namespace stele {
namespace {

using std::string;

/// "R" for old readers or "W" for old writers, "?" when it is not judged, then pointer and keyword.
std::vector<string> findings(std::string_view before, std::string_view after) {
  std::vector<string> found;
  for (const CompatibilityFinding& finding :
       check_compatibility(SchemaValidator::compile(before), SchemaValidator::compile(after))) {
    EXPECT_FALSE(finding.message.empty());
    found.push_back(string(finding.affects == CompatibilityFinding::Affects::old_readers ? "R" : "W") +
                    (finding.unjudged ? "?" : "") + " " + finding.pointer + " " + finding.keyword);
  }
  return found;
}

using Found = std::vector<string>;

TEST(SchemaCompatibility, FindsNothingWhereNothingChanged) {
  for (
      const char* schema :
      {"true", "false", "{}",
       R"({"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^x"}}})",
       R"({"oneOf": [{"type": "string"}, {"required": ["a"]}], "not": {"const": 1}, "if": {"type": "array"}, "then": {"contains": {"type": "null"}}})",
       R"({"allOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}, {"propertyNames": {"maxLength": 3}}]})",
       R"({"properties": {"child": {"$ref": "#"}, "next": {"items": [{"$ref": "#/properties/child"}], "additionalItems": false}}})",
       R"({"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": false, "dependencies": {"a": ["b"], "c": {"required": ["d"]}}})"}) {
    EXPECT_EQ(findings(schema, schema), Found()) << schema;
  }
  // Said in another way, it is the same.
  EXPECT_EQ(
      findings(
          R"({"type": "object", "properties": {"a": {"$ref": "#/definitions/t"}}, "definitions": {"t": {"type": "string"}}})",
          R"({"properties": {"a": {"type": ["string"]}}, "allOf": [{"type": "object", "title": "x"}]})"),
      Found());
  EXPECT_EQ(findings(R"({"minimum": 1.0})", R"({"minimum": 1})"), Found());
  EXPECT_EQ(findings(R"({"type": ["integer", "number"]})", R"({"type": "number"})"), Found());
}

TEST(SchemaCompatibility, NamesWhoChokesOnWhat) {
  struct Row {
    std::string_view before, after;
    Found found;
  };
  for (const Row& row : {
           // A new optional member in an open object does nobody harm, unless it has a type that an old one had not.
           Row{R"({"type": "object"})", R"({"type": "object", "properties": {"a": {}}})", {}},
           Row{R"({"type": "object"})",
               R"({"type": "object", "properties": {"a": {"type": "string"}}})",
               {"W /a type"}},
           Row{R"({"required": ["a"]})", R"({"required": ["a", "b"]})", {"W  required"}},
           Row{R"({"required": ["a", "b"]})", R"({"required": ["a"]})", {"R  required"}},
           Row{R"({"properties": {"a": {"type": "string"}}, "required": ["a"]})",
               R"({})",
               {"R  required", "R /a type"}},
           Row{R"({"properties": {"a": {"type": "string"}}})",
               R"({"properties": {"a": {"type": ["string", "null"]}}})",
               {"R /a type"}},
           Row{R"({"properties": {"a": {"type": "number"}}})",
               R"({"properties": {"a": {"type": "integer"}}})",
               {"W /a type"}},
           Row{R"({"properties": {"a": {"type": "string"}}})",
               R"({"properties": {"a": {"type": "integer"}}})",
               {"R /a type", "W /a type"}},
           Row{R"({"properties": {"s": {"enum": ["a", "b"]}}})",
               R"({"properties": {"s": {"enum": ["a", "b", "c"]}}})",
               {"R /s enum"}},
           Row{R"({"properties": {"s": {"enum": ["a", "b"]}}})",
               R"({"properties": {"s": {"enum": ["a"]}}})",
               {"W /s enum"}},
           Row{R"({"properties": {"s": {"enum": ["a", "b"]}}})",
               R"({"properties": {"s": {"type": "string"}}})",
               {"R /s enum"}},
           Row{R"({"enum": ["a", 1]})", R"({"type": ["string", "integer"], "maxLength": 1})", {"R  enum"}},
           Row{R"({"const": 1})", R"({"const": 2})", {"R  const", "W  const"}},
           Row{R"({})", R"({"additionalProperties": false, "properties": {"a": {}}})", {"W /* additionalProperties"}},
           Row{R"({"additionalProperties": false, "properties": {"a": {}}})",
               R"({"additionalProperties": false, "properties": {"a": {}, "b": {}}})",
               {"R /b additionalProperties"}},
           Row{R"({"additionalProperties": false, "properties": {"a": {}, "b": {}}})",
               R"({"additionalProperties": false, "properties": {"a": {}}})",
               {"W /b additionalProperties"}},
           Row{R"({"additionalProperties": {"type": "string"}})",
               R"({"additionalProperties": {"type": "string"}, "properties": {"a": {"type": "integer"}}})",
               {"R /a type", "W /a type"}},
           Row{R"({"minimum": 0, "maximum": 10})", R"({"minimum": 1, "maximum": 11})", {"R  maximum", "W  minimum"}},
           Row{R"({"minimum": 0})", R"({"exclusiveMinimum": 0})", {"W  exclusiveMinimum"}},
           Row{R"({"exclusiveMaximum": 5})", R"({"maximum": 5})", {"R  exclusiveMaximum"}},
           Row{R"({"minimum": 9007199254740993})", R"({"minimum": 9007199254740992})", {"R  minimum"}},
           Row{R"({"multipleOf": 2})", R"({"multipleOf": 4})", {"W  multipleOf"}},
           Row{R"({"type": "integer"})", R"({"type": "integer", "multipleOf": 1})", {}},
           Row{R"({"type": "string", "minimum": 5})", R"({"type": "string"})", {}},  // of no consequence
           Row{R"({"minLength": 1, "maxLength": 5})",
               R"({"minLength": 2, "maxLength": 6})",
               {"R  maxLength", "W  minLength"}},
           Row{R"({})", R"({"pattern": "^a"})", {"W  pattern"}},
           Row{R"({"pattern": "^ab"})", R"({"pattern": "^a"})", {"R?  pattern", "W?  pattern"}},
           Row{R"({"items": {"type": "string"}})",
               R"({"items": {"type": ["string", "null"]}, "maxItems": 3})",
               {"R /* type", "W  maxItems"}},
           Row{R"({"items": [{"type": "string"}]})",
               R"({"items": [{"type": "string"}], "additionalItems": false})",
               {"W /* false"}},
           Row{R"({"items": [{"type": "string"}, {"type": "null"}]})",
               R"({"items": [{"type": "string"}, {"type": "boolean"}]})",
               {"R /1 type", "W /1 type"}},
           Row{R"({"uniqueItems": true, "minItems": 1})", R"({"maxItems": 1})", {"R  minItems", "W  maxItems"}},
           Row{R"({"minProperties": 2})", R"({"required": ["a", "b"]})", {"W  required", "W  required"}},
           Row{R"({"patternProperties": {"^x": {"type": "integer"}}})",
               R"({"patternProperties": {"^x": {"type": "number"}}})",
               {"R /* type"}},
           Row{R"({})", R"({"patternProperties": {"^x": {"type": "number"}}})", {"W? /* type"}},
           Row{R"({"dependencies": {"a": ["b"]}})", R"({"dependencies": {"a": ["b", "c"]}})", {"W  dependencies"}},
           Row{R"({"dependencies": {"a": ["b"]}})", R"({"required": ["b"]})", {"W  required"}},
           Row{R"({"anyOf": [{"type": "string"}, {"type": "null"}]})",
               R"({"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "boolean"}]})",
               {"R?  anyOf"}},
           Row{R"({"type": "string"})", R"({"anyOf": [{"type": "string"}, {"type": "null"}]})", {"R?  type"}},
           Row{R"({"not": {"type": "string"}})", R"({"not": {"type": ["string", "null"]}})", {"W?  not"}},
           Row{R"({"oneOf": [{"type": "string"}, {"type": "null"}]})",
               R"({"oneOf": [{"type": "string"}]})",
               {"R?  oneOf", "W?  oneOf"}},
           Row{R"({"if": {"type": "string"}, "then": {"minLength": 1}})", R"({})", {"R?  if"}},
           Row{R"({"contains": {"type": "string"}})",
               R"({"contains": {"type": "null"}})",
               {"R?  contains", "W?  contains"}},
           Row{R"({"propertyNames": {"maxLength": 3}})",
               R"({"propertyNames": {"maxLength": 4}})",
               {"R?  propertyNames", "W?  propertyNames"}},
           Row{R"({"properties": {"a": {}}})", R"({"properties": {"a": false}})", {"W /a false"}},
       }) {
    EXPECT_EQ(findings(row.before, row.after), row.found) << row.before << " to " << row.after;
  }
}

TEST(SchemaCompatibility, EndsOnSchemasThatRecurse) {
  const auto tree = [](std::string_view value) {
    return R"({"type": "object", "properties": {"v": {"type": )" + string(value) +
           R"(}, "children": {"type": "array", "items": {"$ref": "#"}}}})";
  };
  EXPECT_EQ(findings(tree(R"("integer")"), tree(R"("integer")")), Found());
  EXPECT_EQ(findings(tree(R"("integer")"), tree(R"("number")")), (Found{"R /v type"}));
}

TEST(SchemaCompatibility, SaysItInWords) {
  const auto found = check_compatibility(SchemaValidator::compile(R"({"properties": {"s": {"enum": ["a"]}}})"),
                                         SchemaValidator::compile(R"({"properties": {"s": {"enum": ["a", "b"]}}})"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].to_string(), "old readers: /s: enum: 1 of the 2 values listed on the other side is not allowed");
  EXPECT_EQ(found[0].schema_pointer, "/properties/s/enum");
}

/// The claim itself: where there is no finding for readers, no document of the new version is refused by the old one.
TEST(SchemaCompatibility, WhatItDoesNotFindDoesNotHappen) {
  const std::vector<string> schemas{
      "true",
      "false",
      R"({"type": "string"})",
      R"({"type": ["integer", "null"]})",
      R"({"type": "number", "minimum": 2})",
      R"({"enum": ["a", 1, null]})",
      R"({"minLength": 2})",
      R"({"maximum": 3})",
      R"({"multipleOf": 2})",
      R"({"required": ["a"]})",
      R"({"properties": {"a": {"type": "integer"}}})",
      R"({"properties": {"a": {"type": "integer"}}, "additionalProperties": false})",
      R"({"properties": {"a": {"type": "number"}, "b": {}}, "required": ["b"], "additionalProperties": {"type": "string"}})",
      R"({"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": false})",
      R"({"items": {"type": "integer"}})",
      R"({"items": [{"type": "string"}], "additionalItems": {"type": "null"}})",
      R"({"uniqueItems": true, "maxItems": 2})",
      R"({"minItems": 1})",
      R"({"anyOf": [{"type": "string"}, {"required": ["b"]}]})",
      R"({"oneOf": [{"type": "string"}, {"minLength": 2}]})",
      R"({"not": {"type": "object"}})",
      R"({"allOf": [{"type": "object"}, {"minProperties": 1}]})",
      R"({"dependencies": {"a": ["b"]}})",
      R"({"if": {"required": ["a"]}, "then": {"required": ["b"]}})",
      R"({"contains": {"type": "integer"}})",
      R"({"maxProperties": 1})"};
  const std::vector<string> documents{"null",
                                      "true",
                                      "1",
                                      "2",
                                      "2.5",
                                      "3",
                                      "-4",
                                      "1e3",
                                      R"("")",
                                      R"("a")",
                                      R"("ab")",
                                      "[]",
                                      "[1]",
                                      "[1, 1]",
                                      "[null]",
                                      R"(["x"])",
                                      R"(["x", null])",
                                      R"(["x", 1, 2])",
                                      "{}",
                                      R"({"a": 1})",
                                      R"({"a": 1.5})",
                                      R"({"a": "s"})",
                                      R"({"b": 1})",
                                      R"({"b": "s"})",
                                      R"({"a": 1, "b": 2})",
                                      R"({"a": 1, "b": "s", "c": "t"})",
                                      R"({"c": 5})",
                                      R"({"ab": "x"})"};
  std::vector<SchemaValidator> compiled;
  for (const string& schema : schemas) compiled.push_back(SchemaValidator::compile(schema));
  int harmless = 0;
  for (std::size_t before = 0; before < schemas.size(); ++before) {
    for (std::size_t after = 0; after < schemas.size(); ++after) {
      bool readers = false;
      bool writers = false;
      for (const CompatibilityFinding& finding : check_compatibility(compiled[before], compiled[after])) {
        (finding.affects == CompatibilityFinding::Affects::old_readers ? readers : writers) = true;
      }
      harmless += !readers + !writers;
      for (const string& document : documents) {
        const bool was = compiled[before].check_text(document).empty();
        const bool is = compiled[after].check_text(document).empty();
        EXPECT_FALSE(!readers && is && !was) << schemas[before] << " to " << schemas[after] << ": " << document;
        EXPECT_FALSE(!writers && was && !is) << schemas[before] << " to " << schemas[after] << ": " << document;
      }
    }
  }
  EXPECT_GT(harmless, 150);  // It does not call everything harmful.
}

}  // namespace
}  // namespace stele
