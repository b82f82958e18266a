"""The catalogue of diagnostic codes: one line each, the source of `docs/errors.md`.

Ranges: E00 reading and syntax, E01 names, E02 statements and wires, E03 types and shapes,
E04 calls and settings, E05 data and values given at run time, E06 targets, E07 the command,
E09 limits; W likewise.
"""

CODES: dict[str, str] = {
    # reading and syntax
    "E0001": "the file cannot be read",
    "E0002": "the file is not UTF-8 text",
    "E0003": "a character that no token begins with",
    "E0004": "a statement is not well formed",
    "E0005": "a string is not closed",
    "E0006": "a bracket is not closed, or closes nothing",
    "E0007": "a reserved word is used as a name",
    "E0008": "a comparison is chained",
    "E0009": "a string holds an unknown escape",
    # names
    "E0101": "a name is not defined",
    "E0102": "a name is defined twice",
    "E0103": "a name is used before its equation",
    "E0104": "an operation is not known",
    "E0105": "a name cannot be used here",
    "E0106": "two parameters end up with the same name",
    "E0107": "a member is not known",
    # statements and wires
    "E0201": "circles depend on each other in a ring",
    "E0202": "a circle has no incoming wire",
    "E0203": "a wire ends in something that is not a node",
    "E0204": "a wire's source is not allowed",
    "E0205": "a wire's weight is not allowed",
    "E0206": "something other than an equation's name is rebound",
    "E0207": "a statement may stand only once, or not here",
    "E0208": "a param has no initial value",
    "E0209": "an output depends on a target",
    "E0210": "a requirement is not met",
    "E0211": "a number known at compile time is needed",
    "E0212": "this part of the language is not compiled by this version",
    "E0213": "arithmetic at compile time has no result",
    # types and shapes
    "E0301": "a size cannot be inferred",
    "E0302": "a size is not a whole number, or is negative",
    "E0303": "an element type does not fit",
    "E0304": "an axis does not exist",
    "E0305": "an index is out of range",
    "E0306": "a loss or metric is not a single number per example",
    "E0307": "a class label is out of range",
    "E0308": "a symbolic size cannot be used in this way",
    "E0309": "a gradient is asked for of something that is not a single number",
    "E0310": "shapes do not agree",
    "E0311": "a derivative is of, or with respect to, something other than real numbers",
    # calls and settings
    "E0401": "a call has the wrong number of arguments",
    "E0402": "a call has an unknown keyword",
    "E0403": "a setting is given twice, or missing",
    "E0404": "a setting has a wrong value",
    "E0405": "a derivative is taken with respect to something that has no name, or cannot vary",
    # data
    "E0501": "a data file cannot be used",
    "E0502": "data lack a column, or have one too many",
    "E0503": "a row of data does not fit",
    "E0504": "a value given on the command line does not fit",
    "E0505": "parameters in a file do not fit the diagram",
    # targets
    "E0602": "a name cannot be used in the emitted code",
    "E0603": "there is no loss to differentiate",
    "E0604": "two engines that should compute the same disagree",
    # the command
    "E0701": "an output file cannot be written",
    "E0703": "the file differs from what would be written",
    "E0704": "--set names nothing that can be set",
    # limits
    "E0901": "a number has too many digits, or is too large",
    "E0902": "a name is too long",
    "E0903": "brackets are nested too deeply",
    "E0904": "an array would be too large",
    "E0905": "the graph would have too many nodes",
    # warnings
    "W0102": "a size, const or param is not used",
    "W0103": "a node has no path to an output, loss or metric",
    "W0201": "a second wire between the same circles",
    "W0301": "a param can never receive a gradient",
    "W0302": "a param has no path to the loss",
    "W0303": "a circle is always the same",
    "W0304": "a loss is given the output of an activation that it has in itself",
    "W0305": "a class label is taken for a number",
    "W0401": "a derivative in the language is 0 whatever the values",
}
