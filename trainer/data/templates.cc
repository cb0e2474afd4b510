// The texts of the answerable kinds. "{o}" stands for the object, colour word and noun.
#include <array>

#include "trainer/data/phrasebook.h"

namespace sf::data {
namespace {

using Text = std::string_view;

constexpr Text kShapeKeyword[] = {"what shape {c}", "shape {c}", "which shape {c}", "what shape {c}", "form {c}", "shape of {c}",
                                  "circle or square {c}"};
constexpr Text kShapeFull[] = {
    "[what|which] shape is the {o}", "what shape is the {o}", "what shape does the {o} have", "which shape does the {o} have",
    "[what is|what's] the [shape|form] of the {o}", "what [form|kind of shape|type of shape|sort of shape|figure] is the {o}",
    "what [form|kind of shape] does the {o} have", "the {o} [is|has] [what|which] shape", "how is the {o} shaped",
    "is the {o} a [circle|disc|disk] or a [square|rectangle|box]", "is the {o} a [square|rectangle|box] or a [circle|disc]",
    "is the {o} [round or square|square or round|circular or square|round or rectangular]",
    "[tell me|give me|name|say|identify|state|report|find|determine] the shape of the {o}", "shape of the {o}",
    "what shape is {c}", "what shape does {c} have", "is {c} a circle or a square", "is {c} round or square", "{c} shape",
    "{c} circle or square", "the {o}: circle or square", "what is the {o}, a circle or a square", "what is the {c} [object|thing|one]",
    "what shape is the {s} [painted|drawn|coloured|colored] {c}", "the shape of the {c} one", "look at the {o}, what shape is it",
    "there is a {c} object, what is its shape", "which of circle and square is the {o}",
};

constexpr Text kLeftRightKeyword[] = {"left or right {c}", "left right {c}", "which side {c}", "side {c}", "right or left {c}"};
constexpr Text kLeftRightFull[] = {
    "is the {o} on the left or [on |]the right", "is the {o} on the left or right", "is the {o} on the right or [on |]the left",
    "is the {o} in the left [half|part|side] or [in |]the right [half|part|side]", "is the {o} in the left or [in |]the right half",
    "is the {o} in the left or the right half of the [picture|image]", "[which|what] side is the {o} on",
    "on [which|what] side [of the picture|of the image|] is the {o}", "where is the {o}, left or right",
    "where is the {o}, on the left or [on |]the right", "left or right: the {o}", "is the {o} left or right",
    "is the {o} [more|further] [to the |]left or [to the |]right", "does the {o} lie [on|to] the left or [on|to] the right",
    "the {o} is on which side[, left or right|]", "which half[, left or right,|] is the {o} in, [left or right|right or left]",
    "tell me [whether|if] the {o} is on the left or [on |]the right", "is the {o} left or right of [the |][centre|center|middle]",
    "is the {o} to the left or [to the |]right of the [centre|center|middle]", "horizontal position of the {o}",
    "what is the horizontal position of the {o}", "where is {c}, left or right", "is {c} on the left or [on |]the right",
    "is {c} left or right", "{c} left or right", "{c} side", "can the {o} be found on the left or [on |]the right",
    "left or right, where is the {o}", "is it left or right where the {o} is", "is the {o} on the left-hand or [the |]right-hand side",
};

constexpr Text kTopBottomKeyword[] = {"top or bottom {c}", "top bottom {c}", "up or down {c}", "upper or lower {c}", "bottom or top {c}"};
constexpr Text kTopBottomFull[] = {
    "is the {o} [at|on|in] the top or [at |on |]the bottom", "is the {o} on the top or bottom", "is the {o} at the bottom or [at |]the top",
    "is the {o} in the [top|upper] [half|part] or [in |]the [bottom|lower] [half|part]", "is the {o} in the upper or [in |the |]lower half",
    "is the {o} in the top or [in |]the bottom half of the [picture|image]", "is the {o} in the [lower|bottom] or [the |][upper|top] half",
    "where is the {o}, top or bottom", "where is the {o}, at the top or [at |]the bottom", "top or bottom: the {o}",
    "is the {o} top or bottom", "is the {o} [up|high] or [down|low]", "is the {o} [higher up|further up] or [lower|further] down",
    "does the {o} lie at the top or [at |]the bottom", "the {o} is [where|in which half], top or bottom",
    "which half, [top|upper] or [bottom|lower], is the {o} in", "tell me [whether|if] the {o} is at the top or [at |]the bottom",
    "is the {o} above or below [the |][centre|center|middle]", "vertical position of the {o}",
    "what is the vertical position of the {o}", "where is {c}, top or bottom", "is {c} at the top or [at |]the bottom",
    "is {c} in the upper or lower half", "{c} top or bottom", "{c} upper or lower", "is {c} up or down",
    "can the {o} be found at the top or [at |]the bottom", "is the {o} above or below the middle of the [picture|image]",
    "top or bottom, where is the {o}",
};

constexpr Text kClosestShapeKeyword[] = {"closest shape {c}", "nearest shape {c}", "what shape closest {c}", "shape closest to {c}",
                                         "shape nearest {c}", "closest circle or square {c}"};
constexpr Text kClosestShapeFull[] = {
    "[what|which] shape is the [object|one|thing|item] [closest|nearest] to the {o}", "what shape is [closest|nearest] to the {o}",
    "[what is|what's] the shape of the [object|one|thing|item] [closest|nearest] to the {o}",
    "which shape is [closest|nearest] to the {o}", "what shape does the [object|thing] [closest|nearest] to the {o} have",
    "what shape is the [closest|nearest] [object|one|thing|item] to the {o}", "shape of the [object|thing] [closest|nearest] to the {o}",
    "[what is|what's] the shape of the [closest|nearest] [object|thing|item] to the {o}",
    "is the [object|thing|one] [closest|nearest] to the {o} a circle or a [square|rectangle]",
    "is the [object|thing|one] [closest|nearest] to the {o} [a square or a circle|round or square]",
    "the [nearest|closest] [object|neighbour|neighbor] of the {o} is what shape",
    "what shape does the [nearest|closest] [neighbour|neighbor] of the {o} have", "what shape is the [nearest|closest] [neighbour|neighbor] of the {o}",
    "[tell me|give me|name|say|find] the shape of the [object|thing] [closest|nearest] to the {o}", "the shape [closest|nearest] to the {o}",
    "what shape is nearest the {o}", "what shape is the object at the smallest distance from the {o}",
    "which [object|shape] is [closest|nearest] to the {o}, a circle or a square", "what shape is [closest|nearest] to {c}",
    "[what|which] shape is the object [closest|nearest] to {c}", "closest to {c}: circle or square", "{c} [closest|nearest] shape",
    "what is the form of the object [closest|nearest] to the {o}", "what kind of shape is [closest|nearest] to the {o}",
    "which shape lies [closest|nearest] to the {o}", "what shape is [closest|nearest] to the {s} that is {c}",
    "look at the {o}, what shape is the object [closest|nearest] to it",
};

constexpr Text kFurthestShapeKeyword[] = {"furthest shape {c}", "farthest shape {c}", "what shape furthest {c}", "shape furthest from {c}",
                                          "shape farthest {c}", "furthest circle or square {c}", "most distant shape {c}"};
constexpr Text kFurthestShapeFull[] = {
    "[what|which] shape is the [object|one|thing|item] [furthest|farthest] [away |]from the {o}", "what shape is [furthest|farthest] from the {o}",
    "[what is|what's] the shape of the [object|one|thing|item] [furthest|farthest] [away |]from the {o}",
    "which shape is [furthest|farthest] [away |]from the {o}", "what shape does the [object|thing] [furthest|farthest] from the {o} have",
    "what shape is the [furthest|farthest|most distant] [object|one|thing|item] from the {o}", "shape of the [object|thing] [furthest|farthest] from the {o}",
    "[what is|what's] the shape of the [furthest|farthest|most distant] [object|thing|item] from the {o}",
    "is the [object|thing|one] [furthest|farthest] from the {o} a circle or a [square|rectangle]",
    "is the [object|thing|one] [furthest|farthest|most distant] from the {o} [a square or a circle|round or square]",
    "the [object|thing] [furthest|farthest|most distant] from the {o} is what shape", "what shape is most distant from the {o}",
    "what shape does the [most distant|furthest] object from the {o} have", "what shape is [furthest|farthest] away from the {o}",
    "[tell me|give me|name|say|find] the shape of the [object|thing] [furthest|farthest] from the {o}", "the shape [furthest|farthest] from the {o}",
    "what shape is the object at the [largest|greatest] distance from the {o}", "what shape is the [furthest|farthest] to the {o}",
    "which [object|shape] is [furthest|farthest] from the {o}, a circle or a square", "what shape is [furthest|farthest] from {c}",
    "[what|which] shape is the object [furthest|farthest|most distant] from {c}", "furthest from {c}: circle or square",
    "{c} [furthest|farthest] shape", "what is the form of the object [furthest|farthest] from the {o}",
    "what kind of shape is [furthest|farthest] from the {o}", "which shape lies [furthest|farthest] from the {o}",
    "look at the {o}, what shape is the object [furthest|farthest] from it",
};

constexpr Text kCountKeyword[] = {"count {c}", "same shape {c}", "count same shape {c}", "how many same shape {c}", "number same shape {c}"};
constexpr Text kCountFull[] = {
    "how many [objects|things|items|shapes|figures] have the same shape as the {o}", "how many have the same shape as the {o}",
    "how many [objects|things|items|figures] have the same shape as the {o}[ including itself|, including itself|, itself included|, counting itself|]",
    "how many [objects|things|items|shapes] share the shape of the {o}", "how many [objects|things|items] are shaped like the {o}",
    "how many [objects|things|items|] are the same shape as the {o}", "how many [objects|things|items] are of the same shape as the {o}",
    "[count|find] the [objects|things|shapes|items] [with|that have|having] the same shape as the {o}", "how many share the {o}'s shape",
    "[number|the number] of [objects|things|shapes] [with|that have] the same shape as the {o}",
    "what is the number of [objects|things|shapes] with the same shape as the {o}", "how many share the same shape as the {o}",
    "how many [objects|things|shapes] of the same shape as the {o} are there", "how many [objects|things] with the shape of the {o} are there",
    "[in total, |]how many [objects|things] have the {o}'s shape", "how many are shaped like {c}", "how many [objects|] have the same shape as {c}",
    "tell me how many [objects|things|shapes] have the same shape as the {o}", "how many [objects|things] look like the {o}",
    "including itself, how many [objects|things] have the same shape as the {o}", "what number of objects share the {o}'s shape",
    "how many [objects|things|shapes] match the {o} in shape", "how many [objects|] have the shape that the {o} has", "{c} count",
    "{c} same shape count", "look at the {o}, how many objects have its shape", "count all [objects|things] shaped like the {o}",
    "how many [objects|things] are there with the shape of the {o}",
};

constexpr Text kClosestColourKeyword[] = {"closest [colour|color] {c}", "nearest [colour|color] {c}", "what [colour|color] closest {c}",
                                          "[colour|color] closest to {c}", "[colour|color] nearest {c}"};
constexpr Text kClosestColourFull[] = {
    "[what|which] [colour|color] is the [object|one|thing|item|shape] [closest|nearest] to the {o}", "what [colour|color] is [closest|nearest] to the {o}",
    "[what is|what's] the [colour|color] of the [object|one|thing|shape] [closest|nearest] to the {o}", "which [colour|color] is [closest|nearest] to the {o}",
    "what [colour|color] does the [object|thing|shape] [closest|nearest] to the {o} have", "[colour|color] of the object [closest|nearest] to the {o}",
    "what [colour|color] is the [closest|nearest] [object|one|thing|shape] to the {o}", "what [colour|color] has the [object|shape] [closest|nearest] to the {o}",
    "[what is|what's] the [colour|color] of the [closest|nearest] [object|thing|shape] to the {o}",
    "the [nearest|closest] [object|neighbour|neighbor] of the {o} has what [colour|color]", "{c} [closest|nearest] [colour|color]",
    "what [colour|color] is the [nearest|closest] [neighbour|neighbor] of the {o}", "what [colour|color] is the {o}'s [nearest|closest] [neighbour|neighbor]",
    "[tell me|give me|name|say|find] the [colour|color] of the [object|thing|shape] [closest|nearest] to the {o}", "what [colour|color] is nearest the {o}",
    "the [colour|color] [closest|nearest] to the {o}", "what [colour|color] is the object at the smallest distance from the {o}",
    "what [colour|color] is [closest|nearest] to {c}", "[what|which] [colour|color] is the object [closest|nearest] to {c}",
    "which coloured object is [closest|nearest] to the {o}", "which object is [closest|nearest] to the {o}, name its [colour|color]",
    "look at the {o}, what [colour|color] is the object [closest|nearest] to it", "which [colour|color] lies [closest|nearest] to the {o}",
    "what is the [colour|color] of the [neighbour|neighbor] [closest|nearest] to the {o}", "what [colour|color] is [closest|nearest] to the {s} that is {c}",
};

constexpr Text kFurthestColourKeyword[] = {"furthest [colour|color] {c}", "farthest [colour|color] {c}", "what [colour|color] furthest {c}",
                                           "[colour|color] furthest from {c}", "[colour|color] farthest {c}", "most distant [colour|color] {c}"};
constexpr Text kFurthestColourFull[] = {
    "[what|which] [colour|color] is the [object|one|thing|item|shape] [furthest|farthest] [away |]from the {o}", "what [colour|color] is [furthest|farthest] from the {o}",
    "[what is|what's] the [colour|color] of the [object|one|thing|shape] [furthest|farthest] [away |]from the {o}",
    "which [colour|color] is [furthest|farthest] [away |]from the {o}", "what [colour|color] does the [object|thing|shape] [furthest|farthest] from the {o} have",
    "what [colour|color] is the [furthest|farthest|most distant] [object|one|thing|shape] from the {o}", "[colour|color] of the object [furthest|farthest] from the {o}",
    "what [colour|color] has the [object|shape] [furthest|farthest] from the {o}", "what [colour|color] is most distant from the {o}",
    "[what is|what's] the [colour|color] of the [furthest|farthest|most distant] [object|thing|shape] from the {o}",
    "the [object|thing] [furthest|farthest|most distant] from the {o} has what [colour|color]", "{c} [furthest|farthest] [colour|color]",
    "what [colour|color] is [furthest|farthest] away from the {o}", "what [colour|color] is the [furthest|farthest] to the {o}",
    "[tell me|give me|name|say|find] the [colour|color] of the [object|thing|shape] [furthest|farthest] from the {o}",
    "the [colour|color] [furthest|farthest] from the {o}", "what [colour|color] is the object at the [largest|greatest] distance from the {o}",
    "what [colour|color] is [furthest|farthest] from {c}", "[what|which] [colour|color] is the object [furthest|farthest|most distant] from {c}",
    "which coloured object is [furthest|farthest] from the {o}", "which object is [furthest|farthest] from the {o}, name its [colour|color]",
    "look at the {o}, what [colour|color] is the object [furthest|farthest] from it", "which [colour|color] lies [furthest|farthest] from the {o}",
    "what [colour|color] is the object that is [furthest|farthest] [away |]from the {o}", "what [colour|color] is [furthest|farthest] from the {s} that is {c}",
};

constexpr Text kDescribeKeyword[] = {"describe", "objects", "list", "describe picture", "description"};
constexpr Text kDescribeFull[] = {
    "describe the [picture|image|scene|photo]", "describe this [picture|image|scene|photo]", "describe it", "describe what you see",
    "what is in the [picture|image|scene]", "what is in this [picture|image|scene]", "what's in the [picture|image]", "what do you see",
    "what can you see[ here| in the picture| in the image|]", "list [all |]the objects[ in the picture| in the image|]", "list everything",
    "what objects are [there|in the picture|in the image]", "which objects [are there|do you see|can you see]", "name [all |]the objects",
    "what does the [picture|image] show", "what is shown[ here| in the picture| in the image|]", "what do you see in [the|this] [picture|image]",
    "give me a description[ of the picture| of the image|]", "tell me what is in the [picture|image]", "tell me what you see",
    "tell me about the [picture|image|scene]", "caption the [picture|image]", "write a caption[ for the picture| for the image|]",
    "which [shapes|things] are [in the picture|in the image|there]", "what [shapes|things] are [in the picture|in the image|there]",
    "describe all [the |][objects|shapes]", "describe the [objects|shapes]", "what is this[ picture| image|]", "what is on the [picture|image]",
    "explain the [picture|image]", "summarise the [picture|image]", "name every object with its [colour|color], shape and place",
    "where are the objects", "list the [shapes|things] and where they are", "give a full description", "what is here", "what is there to see",
};

constexpr std::array<Phrases, 9> kPhrases = {{
    {"what shape is the {c} object?", kShapeKeyword, kShapeFull},
    {"is the {c} object on the left or right?", kLeftRightKeyword, kLeftRightFull},
    {"is the {c} object at the top or bottom?", kTopBottomKeyword, kTopBottomFull},
    {"what shape is the object closest to the {c} object?", kClosestShapeKeyword, kClosestShapeFull},
    {"what shape is the object furthest from the {c} object?", kFurthestShapeKeyword, kFurthestShapeFull},
    {"how many objects have the same shape as the {c} object?", kCountKeyword, kCountFull},
    {"what colour is the object closest to the {c} object?", kClosestColourKeyword, kClosestColourFull},
    {"what colour is the object furthest from the {c} object?", kFurthestColourKeyword, kFurthestColourFull},
    {"describe the picture", kDescribeKeyword, kDescribeFull},
}};

}  // namespace

const Phrases& phrases_of(Kind kind) { return kPhrases.at(kind); }

}  // namespace sf::data
